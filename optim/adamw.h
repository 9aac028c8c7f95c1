// AdamW over a ParameterSet: state layout and the update.
#pragma once

#include <vector>

#include "core/dist/parameter.h"
#include "core/ops/ops.h"
#include "optim/optimizer_config.h"

namespace weft {

class AdamW {
 public:
  // What the optimizer keeps of one parameter: of the elements this rank owns, flat, f32.
  struct State {
    Tensor exp_avg;
    Tensor exp_avg_sq;
  };

  AdamW(const AdamWConfig& config, ParameterSet& parameters)
      : config_(config), parameters_(parameters) {}

  // Lays out the state in `arena`, zero (both moments start at 0).
  void allocate(Arena& arena);

  // Update number update[0] (i64 [1] on the device; 1 for the first, 0 for none) of what this rank
  // owns of every parameter, from its gradient times clip[0] (f32 [1] on the device). Owned
  // gradients are zero afterwards. Weight decay applies to the parameters whose spec says so.
  // Frozen parameters are left alone, gradients too. Tells `listener` (may be null) each parameter.
  void step(double lr, const Tensor& clip, const Tensor& update, Ops& ops, Stream& stream,
            UpdateListener* listener = nullptr);

  // State of parameters[i].
  const State& state(size_t i) const { return states_[i]; }

 private:
  AdamWConfig config_;
  ParameterSet& parameters_;
  std::vector<State> states_;
};

}  // namespace weft
