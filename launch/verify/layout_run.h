// A few training steps of one layout, seen from outside: whole logical tensors, whoever held them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "launch/config/run_config.h"
#include "launch/step/engine.h"
#include "launch/verify/fault.h"

namespace weft {

// How a run is spread over ranks.
struct Layout {
  int dp = 1;
  int tp = 1;
  int64_t micro_batch_size = 1;
  int64_t zero = 0;
  int pp = 1;
  ScheduleKind schedule = ScheduleKind::one_f_one_b;
  int cp = 1;
  Recompute recompute = Recompute::none;

  int ranks() const { return dp * tp * pp * cp; }
  bool operator==(const Layout&) const = default;
};
// "dp 2 tp 4 cp 1 micro-batch 3 zero 1 pp 2 zb-h1 recompute full".
std::string to_string(const Layout& layout);
MeshShape mesh_shape(const Layout& layout);
// The run with the layout's keys.
RunConfig with_layout(RunConfig config, const Layout& layout);

using Values = std::vector<float>;
using LogicalTensors = std::map<std::string, Values>;  // row-major, by logical name

struct LayoutTrace {
  LogicalTensors initial;      // weights before the first step
  LogicalTensors gradients;    // of a batch behind those of the steps, summed over ranks
  LogicalTensors trained;      // weights after the last step
  LogicalTensors moments;      // first state of each after the last step: a sum of all gradients
  std::vector<double> losses;  // of that batch without update, then of each step
  std::vector<double> grad_norms;  // of each step
  CallCounts calls;                // that could have been broken
  // Where ranks disagree about what they both hold or were told; empty when all is well.
  std::vector<std::string> disagreements;
};

// Trains `steps` steps on `layout.ranks()` ranks, on the samples of `fill`, with one collective
// broken if there is a `fault`. The ranks are the processes of `job`, which are as many and all
// call this and get the same; or, if it is null, threads of this process.
// config.model.vocab_size must be set; config.recompute.stages, unless empty, comes before the
// layout's policy.
LayoutTrace run_layout(const RunConfig& config, const Layout& layout, int64_t steps,
                       const FillSample& fill, const std::optional<Fault>& fault = {},
                       Bootstrap* job = nullptr);

}  // namespace weft
