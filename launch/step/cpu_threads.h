// How many threads a CPU rank computes with.
#pragma once

#include "core/mesh/communicator.h"
#include "launch/config/run_config.h"

namespace weft {

// config.threads if set; otherwise this rank's part of the cores that it may run on (its affinity
// mask, as bound by mpirun or Slurm, and its control groups' quota), which it shares with the ranks
// of its host that may run there too, and no more than OMP_THREAD_LIMIT: more threads than cores
// make every rank wait for every other. Collective.
int compute_threads(const CpuConfig& config, Bootstrap& bootstrap);
// The same of a process that is no rank of a job.
int compute_threads(const CpuConfig& config);

}  // namespace weft
