// Momentum, and a step along a direction: one element each. What is stored is rounded as AdamW's
// is.
#pragma once

#include "core/kernels/adamw.h"

namespace weft::kernels {

// The numbers of one update with momentum.
struct MomentumStep {
  float grad_scale;  // take * the clip factor
  float decay;
  bool nesterov;
};

// grad becomes the direction.
template <typename M, typename Rounding>
WEFT_KERNEL void momentum_element(const MomentumStep& s, const Rounding& rounding, int64_t i,
                                  float& grad, M& m) {
  const float g = grad * s.grad_scale;
  const float mi = s.decay * load(m) + g;
  m = rounding.template round<M>(mi, kRoundedExpAvg, i);
  grad = s.nesterov ? g + s.decay * mi : mi;
}

struct DescentStep {
  float keep;  // 1 - lr * weight_decay
  float rate;  // lr * scale
};

template <typename D>
WEFT_KERNEL void descent_element(const DescentStep& s, float& w, const D& direction) {
  w = s.keep * w - s.rate * load(direction);
}

}  // namespace weft::kernels
