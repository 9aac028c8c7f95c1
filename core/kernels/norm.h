// LayerNorm of one row (arXiv 1607.06450), forward and backward. Rows are of a storage type S,
// their statistics and the gradients of weights of its arithmetic type T.
#pragma once

#include "core/kernels/storage.h"
#include "core/kernels/team.h"

namespace weft::kernels {

// sum = x + residual (if residual); y = (sum - mean) rstd weight + bias, of the sum as it is
// stored. bias, residual and sum may be null; sum may be x or residual.
template <typename Team, typename S, typename T = Arithmetic<S>>
WEFT_KERNEL void norm_forward_row(Team team, int64_t n, const S* x, const S* residual, S* sum,
                                  const S* weight, const S* bias, T eps, S* y, T* mean_out,
                                  T* rstd_out) {
  if (residual != nullptr) {
    team.for_each(n,
                  [=](int64_t i) WEFT_LANE { sum[i] = store<S>(load(x[i]) + load(residual[i])); });
    x = sum;
  }
  const T mean = team.template sum<T>(n, [=](int64_t i) WEFT_LANE { return load(x[i]); }) / T(n);
  const T variance = team.template sum<T>(n, [=](int64_t i) WEFT_LANE {
    const T d = load(x[i]) - mean;
    return d * d;
  }) / T(n);
  const T rstd = T(1) / std::sqrt(variance + eps);
  if (bias != nullptr) {
    team.for_each(n, [=](int64_t i) WEFT_LANE {
      y[i] = store<S>((load(x[i]) - mean) * rstd * load(weight[i]) + load(bias[i]));
    });
  } else {
    team.for_each(n, [=](int64_t i) WEFT_LANE {
      y[i] = store<S>((load(x[i]) - mean) * rstd * load(weight[i]));
    });
  }
  *mean_out = mean;
  *rstd_out = rstd;
}

// With n = (x - mean) rstd and g = dy weight: dx += rstd (g - mean(g) - n mean(g n)),
// dweight += dy n, dbias += dy (dbias may be null).
template <typename Team, typename S, typename T = Arithmetic<S>>
WEFT_KERNEL void norm_backward_row(Team team, int64_t n, const S* dy, const S* x, const S* weight,
                                   T mean, T rstd, S* dx, T* dweight, T* dbias) {
  const T g = team.template sum<T>(n, [=](int64_t i) WEFT_LANE {
    return load(dy[i]) * load(weight[i]);
  }) / T(n);
  const T gn = team.template sum<T>(n, [=](int64_t i) WEFT_LANE {
    return load(dy[i]) * load(weight[i]) * ((load(x[i]) - mean) * rstd);
  }) / T(n);
  team.for_each(n, [=](int64_t i) WEFT_LANE {
    const T d = load(dy[i]);
    const T normed = (load(x[i]) - mean) * rstd;
    dx[i] = store<S>(load(dx[i]) + rstd * (d * load(weight[i]) - g - normed * gn));
    dweight[i] += d * normed;
  });
  if (dbias != nullptr) {
    team.for_each(n, [=](int64_t i) WEFT_LANE { dbias[i] += load(dy[i]); });
  }
}

}  // namespace weft::kernels
