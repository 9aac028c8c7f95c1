// StopSignal: SIGTERM and SIGINT ask for a clean end after the current step; a second one kills as
// if nobody listened.
#pragma once

#include <string_view>

namespace weft {

// Listens while it lives. Ranks that are threads of one process have one each and see the same
// signals.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  bool requested() const;
  std::string_view name() const;  // "SIGTERM" or "SIGINT" once requested
};

}  // namespace weft
