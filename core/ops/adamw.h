// AdamW (arXiv 1711.05101).
#pragma once

#include <span>

#include "core/ops/element_map.h"
#include "core/ops/op.h"

namespace weft {

// Rounding of f32 to bf16 as in op::CopyStochastic.
struct StochasticRounding {
  uint64_t seed = 0;
  uint32_t weight = 0, exp_avg = 0, exp_avg_sq = 0;  // streams of the three tensors
  ElementMap elements = {};
};

// Of one call all exp_avg and exp_avg_sq are of one type, and all of rounded or none are there.
struct AdamWTensor {
  Tensor weight, grad;         // same elements, f32
  Tensor exp_avg, exp_avg_sq;  // m and v, as many; both f32 or both bf16
  Tensor rounded;              // bf16 or f16, as many: = weight, rounded; optional
  double weight_decay = 0;
  StochasticRounding rounding = {};  // read in a stochastic update; one seed for all
};

namespace op {

// With s = update[0], for every tensor:
//   g = grad * grad_scale[0]; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2
//   w -= lr * (m / (1 - b1^s)) / (sqrt(v / (1 - b2^s)) + eps) + lr * weight_decay * w
// from m and v as computed, before they are stored. grad is set to zero afterwards, in the same
// pass; where s is 0 that is all that happens.
struct AdamW {
  static constexpr OpName kName{"adamw", OpFamily::optimizer};

  std::span<const AdamWTensor> tensors = {};  // the caller's; read while the call is made
  Tensor grad_scale;                          // f32 [1] on the device: the clip factor
  Tensor update;  // i64 [1] on the device: 1 for the first update, 0 for none
  double lr = 0, beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  // Whether what is stored in bf16 is rounded stochastically, with keys of step s; else to nearest.
  bool stochastic = false;

  void check() const;
  Cost cost() const;
  SizeTensors sizes() const { return {tensors.front().weight}; }
};

}  // namespace op

using AdamWOps = Types<op::AdamW>;

}  // namespace weft
