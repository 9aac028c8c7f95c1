// The training run: from a config file to metrics, checkpoints and a loss curve.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/mesh/communicator.h"
#include "launch/train/run_trace.h"

namespace weft {

class StopSignal;

struct TrainOptions {
  std::string config;             // path
  std::vector<std::string> sets;  // key=value, applied last
  // "auto": the newest intact checkpoint of the run, or a fresh start when there is none; a path:
  // this checkpoint (a step_N directory, or a directory of them); absent: a fresh start, refused
  // where the run directory already has checkpoints.
  std::optional<std::string> resume;
  std::optional<int64_t> stop_after;  // --steps: end (with a checkpoint) after this many updates
  std::string write_fault;            // for tests: write_hooks_of()
  StopSignal* stop = nullptr;         // the process's, borrowed; null: no signal ends the run early
  std::optional<TraceOptions> trace;  // --trace: record when operations and collectives run
};

// Trains as one rank of `bootstrap`'s world; all ranks call it alike. Returns the exit code: 0 when
// done or stopped by a signal, that of the error otherwise. Errors found before the first step are
// agreed on by all ranks and reported once, by rank 0; later ones are thrown.
int train(const TrainOptions& options, Bootstrap& bootstrap);

}  // namespace weft
