// AdamW (arXiv 1711.05101): the update of a run of elements in one pass. Moments are of a storage
// type M; a copy of the weights may be written in a storage type C.
#pragma once

#include <type_traits>

#include "core/kernels/storage.h"
#include "core/kernels/team.h"

namespace weft::kernels {

// The numbers of one step, prepared once per tensor.
struct AdamWStep {
  float grad_scale, beta1, beta2;
  float rate;             // lr / (1 - beta1^step)
  float root_correction;  // 1 / sqrt(1 - beta2^step)
  float eps;
  float keep;  // 1 - lr * weight_decay
};

// The tensors that an update rounds.
enum RoundedTensor { kRoundedWeight, kRoundedExpAvg, kRoundedExpAvgSq, kRoundedTensors };

// How element i of one of them is stored.
struct ToNearest {
  template <typename S>
  WEFT_KERNEL S round(float x, RoundedTensor, int64_t) const {
    return store<S>(x);
  }
};
struct Stochastically {
  const uint32_t* words[kRoundedTensors];

  template <typename S>
  WEFT_KERNEL S round(float x, RoundedTensor tensor, int64_t i) const {
    if constexpr (std::is_same_v<S, Bf16>) {
      return store_stochastic(x, words[tensor][i]);
    } else {
      return store<S>(x);
    }
  }
};

// One element: its gradient becomes an update of w, m and v. The update uses moments as computed,
// before they are rounded.
template <typename M, typename Rounding>
WEFT_KERNEL void adamw_element(const AdamWStep& s, const Rounding& rounding, int64_t i, float grad,
                               float& w, M& m, M& v) {
  const float g = grad * s.grad_scale;
  const float mi = s.beta1 * load(m) + (1.0f - s.beta1) * g;
  const float vi = s.beta2 * load(v) + (1.0f - s.beta2) * (g * g);
  m = rounding.template round<M>(mi, kRoundedExpAvg, i);
  v = rounding.template round<M>(vi, kRoundedExpAvgSq, i);
  w = s.keep * w - s.rate * mi / (std::sqrt(vi) * s.root_correction + s.eps);
}

// `copy` may be null.
template <typename Team, typename M, typename C, typename Rounding>
WEFT_KERNEL void adamw_run(Team team, int64_t n, const AdamWStep& step, const Rounding& rounding,
                           float* __restrict w, float* __restrict grad, M* __restrict m,
                           M* __restrict v, C* __restrict copy) {
  const AdamWStep s = step;  // in registers: stores cannot change it
  team.for_each(n, [=](int64_t i) WEFT_LANE {
    adamw_element(s, rounding, i, grad[i], w[i], m[i], v[i]);
    grad[i] = 0.0f;
  });
  if (copy == nullptr) return;
  team.for_each(n, [=](int64_t i) WEFT_LANE {
    copy[i] = rounding.template round<C>(w[i], kRoundedWeight, i);
  });
}

}  // namespace weft::kernels
