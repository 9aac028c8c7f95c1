// AdamW over a ParameterSet: state layout and the update.
#pragma once

#include <vector>

#include "core/dist/parameter.h"
#include "core/ops/ops.h"
#include "optim/optimizer_config.h"

namespace weft {

class AdamW {
 public:
  // What the optimizer keeps of one parameter: of the elements this rank owns, flat, in the
  // configured type.
  struct State {
    Tensor exp_avg;
    Tensor exp_avg_sq;
  };

  // `seed` decides stochastic rounding, where that is configured.
  AdamW(const AdamWConfig& config, uint64_t seed, ParameterSet& parameters)
      : config_(config), seed_(seed), parameters_(parameters) {}

  // Lays out the state in `arena`, zero (both moments start at 0).
  void allocate(Arena& arena);

  // Update number update[0] (i64 [1] on the device; 1 for the first, 0 for none) of what this rank
  // owns of every parameter, from its gradient times clip[0] (f32 [1] on the device). Owned
  // gradients are zero afterwards. Weight decay applies to the parameters whose spec says so.
  // Frozen parameters are left alone, gradients too. Goes unit by unit of the model, and tells
  // `listener` (may be null) each parameter when its unit is updated.
  void step(double lr, const Tensor& clip, const Tensor& update, Ops& ops, Stream& stream,
            UpdateListener* listener = nullptr);

  // Makes the values that this rank owns from master weights that came from elsewhere, as update
  // number `update` left them; 0: to nearest. Where there are no masters there is nothing to do.
  void round_weights(int64_t update, Ops& ops, Stream& stream, UpdateListener* listener = nullptr);

  // State of parameters[i].
  const State& state(size_t i) const { return states_[i]; }

 private:
  // A run of owned elements that are one rectangle of a logical tensor.
  struct Piece {
    int64_t begin, end;  // of the owned elements
    StochasticRounding rounding;
  };

  // Consecutive parameters [begin, end) of one unit and what is updated of them, which is one call.
  struct Group {
    size_t begin, end;
    std::vector<AdamWTensor> tensors;
  };

  std::vector<Piece> pieces_of(const Parameter& p) const;
  void add_to_groups(size_t index);
  bool stochastic(const Parameter& p) const;

  AdamWConfig config_;
  uint64_t seed_;
  ParameterSet& parameters_;
  std::vector<State> states_;
  std::vector<std::vector<Piece>> pieces_;  // by parameter
  std::vector<Group> groups_;
};

}  // namespace weft
