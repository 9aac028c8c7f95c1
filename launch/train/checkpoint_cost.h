// CheckpointCost: what checkpoints take of a run's time.
#pragma once

#include <cstdint>

namespace weft {

struct CheckpointCost {
  double stall_seconds = 0;  // that training stood still
  double write_seconds = 0;  // from the copy to the published checkpoint; 0: none was published
  int64_t bytes = 0;         // of what was published
};

}  // namespace weft
