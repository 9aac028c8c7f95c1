#include "launch/train/cpu_threads.h"

#include <algorithm>

#include "launch/machine.h"

namespace weft {

int compute_threads(const CpuConfig& config, int ranks_on_host) {
  if (config.threads) return static_cast<int>(*config.threads);
  const Machine machine = read_machine();
  const int share = std::max(1, machine.cores / std::max(1, ranks_on_host));
  return std::clamp(machine.usable_cores, 1, share);
}

}  // namespace weft
