// What a rank's plan needs against what its host and its GPU have, before anything is allocated.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/step/engine_memory.h"

namespace weft {

struct MemoryOnOffer {
  int64_t host_bytes = 0;  // free on this host; 0 where that is not known
  int ranks_on_host = 1;
  // What this process may still take by its own limits, and the name of the tightest; nothing where
  // it has none.
  std::optional<int64_t> process_bytes = std::nullopt;
  std::string process_limit = {};
  int ranks_in_process = 1;
  // Free on this rank's GPU; nothing where it computes in host memory.
  std::optional<size_t> device_bytes = std::nullopt;
  int ranks_on_device = 1;
};

// Throws Error{environment} where a limit of this process (ulimit -v, -d) leaves no room for what
// comes beside a plan: stacks of `threads` threads a rank, code that oneDNN makes, buffers of
// libraries. Libraries crash without it. To be called before the first of them is used.
void require_process_room(int threads, int ranks_in_process);

// Throws Error{environment} with what takes how much where the plan, which all ranks that share
// memory have alike, does not fit.
void require_memory(const std::vector<SegmentBytes>& plan, const MemoryOnOffer& offer);

}  // namespace weft
