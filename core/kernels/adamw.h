// AdamW (arXiv 1711.05101): the update of a run of elements in one pass.
#pragma once

#include "core/kernels/team.h"

namespace weft::kernels {

// The numbers of one step, prepared once per parameter.
struct AdamWStep {
  float grad_scale, beta1, beta2;
  float rate;             // lr / (1 - beta1^step)
  float root_correction;  // 1 / sqrt(1 - beta2^step)
  float eps;
  float keep;  // 1 - lr * weight_decay
};

template <typename Team>
WEFT_KERNEL void adamw_run(Team team, int64_t n, const AdamWStep& s, float* __restrict w,
                           float* __restrict grad, float* __restrict m, float* __restrict v) {
  const float scale = s.grad_scale, b1 = s.beta1, b2 = s.beta2, c1 = 1.0f - b1, c2 = 1.0f - b2;
  const float rate = s.rate, root = s.root_correction, eps = s.eps, keep = s.keep;
  team.for_each(n, [=](int64_t i) WEFT_LANE {
    const float g = grad[i] * scale;
    const float mi = b1 * m[i] + c1 * g;
    const float vi = b2 * v[i] + c2 * (g * g);
    m[i] = mi;
    v[i] = vi;
    w[i] = keep * w[i] - rate * mi / (std::sqrt(vi) * root + eps);
    grad[i] = 0.0f;
  });
}

}  // namespace weft::kernels
