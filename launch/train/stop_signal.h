// StopSignal: SIGTERM and SIGINT ask for a clean end after the current step; a second one kills as
// if nobody listened.
#pragma once

#include <string_view>

namespace weft {

// Listens while it lives; one at a time per process (signals belong to the process).
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
