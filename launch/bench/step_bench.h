// How fast training steps are, on random tokens: no data set needed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/mesh/communicator.h"
#include "launch/bench/operation_timer.h"
#include "launch/config/run_config.h"
#include "launch/host/contention.h"
#include "launch/step/peak.h"

namespace weft {

struct StepBenchResult {
  int64_t parameters = 0;
  int64_t tokens_per_step = 0;  // of all ranks
  int ranks = 1;
  int threads = 1;            // per rank
  double median_seconds = 0;  // per step, this and the next two over `steps` steps
  double min_seconds = 0;
  double max_seconds = 0;
  double flops_per_second = 0;         // 6N + 12LCT per token, at the median
  double masked_flops_per_second = 0;  // of those, the half of attention that the mask hides
  double gemm_peak = 0;                // measured, of all ranks
  std::optional<CoreTime> cores;       // while the steps were timed, of this process
  std::string products;                // how bf16 is multiplied; empty where nothing was open
  std::optional<PublishedPeak> published_peak;  // of one rank's device
  std::string device;
  int64_t planned_bytes = 0;        // of this rank's arenas
  int64_t peak_resident_bytes = 0;  // of the process
  // What the device's free memory fell by with the engine, where the device has its own.
  std::optional<int64_t> device_bytes;
  // Per step, from separate steps with a wait after every operation.
  std::vector<OperationTime> operations;
};

// Trains `steps` steps (after two of warm-up) and then a few to attribute time to families.
// Collective; the result is complete on rank 0.
StepBenchResult bench_steps(const RunConfig& config, int64_t steps, Bootstrap& bootstrap);

// With `operations`, a row for every operation that takes a thousandth of the step or more.
std::string to_text(const StepBenchResult& result, bool operations);
std::string to_json(const StepBenchResult& result);

}  // namespace weft
