// What optimizers with momentum are made of.
#pragma once

#include <span>

#include "core/ops/adamw.h"
#include "core/ops/op.h"

namespace weft {

// Of one call all momenta are f32 or all bf16.
struct MomentumTensor {
  Tensor grad;                       // f32, changed
  Tensor momentum;                   // m, as many
  StochasticRounding rounding = {};  // its exp_avg is the momentum's stream; one seed for all
};

// Of one call all directions are of one type, and all of rounded or none are there.
struct DescentTensor {
  Tensor weight, grad;  // same elements, f32
  Tensor direction;     // as many, f32, bf16 or f16; may be grad
  Tensor rounded;       // bf16 or f16, as many: = weight, rounded; optional
  double scale = 1, weight_decay = 0;
  StochasticRounding rounding = {};  // of the weight; one seed for all
};

namespace op {

// For every tensor, where s = update[0] is not 0:
//   g = take * grad * grad_scale[0];  m = decay m + g;  grad = nesterov ? g + decay m : m
// from m as computed, before it is stored. Where s is 0, grad is set to zero and m stays.
struct Momentum {
  static constexpr OpName kName{"momentum", OpFamily::optimizer};

  std::span<const MomentumTensor> tensors = {};  // the caller's; read while the call is made
  Tensor grad_scale, update;                     // as of AdamW
  double decay = 0.95, take = 1;
  bool nesterov = true;
  bool stochastic = false;  // of a momentum in bf16, as of AdamW

  void check() const;
  Cost cost() const;
  SizeTensors sizes() const { return {tensors.front().grad}; }
};

// A step along a direction, for every tensor, where update[0] is not 0:
//   w = (1 - lr weight_decay) w - lr scale direction
// grad is set to zero afterwards, in any case.
struct Descend {
  static constexpr OpName kName{"descend", OpFamily::optimizer};

  std::span<const DescentTensor> tensors = {};  // the caller's; read while the call is made
  Tensor update;                                // as of AdamW
  double lr = 0;
  bool stochastic = false;  // of a copy in bf16, as of AdamW

  void check() const;
  Cost cost() const;
  SizeTensors sizes() const { return {tensors.front().weight}; }
};

}  // namespace op

using DescentOps = Types<op::Momentum, op::Descend>;

}  // namespace weft
