// How many threads a CPU rank computes with.
#pragma once

#include "launch/config/run_config.h"

namespace weft {

// config.threads if set; otherwise the cores this process may run on (its affinity mask, as bound
// by mpirun or Slurm), but not more than the machine's cores shared among the host's ranks: more
// threads than cores make every rank wait for every other.
int compute_threads(const CpuConfig& config, int ranks_on_host);

}  // namespace weft
