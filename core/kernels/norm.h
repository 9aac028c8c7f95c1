// LayerNorm of one row (arXiv 1607.06450), forward and backward.
#pragma once

#include "core/kernels/team.h"

namespace weft::kernels {

// sum = x + residual (if residual); y = (sum - mean) rstd weight + bias. bias, residual and sum may
// be null; sum may be x or residual.
template <typename Team, typename T>
WEFT_KERNEL void norm_forward_row(Team team, int64_t n, const T* x, const T* residual, T* sum,
                                  const T* weight, const T* bias, T eps, T* y, T* mean_out,
                                  T* rstd_out) {
  if (residual != nullptr) {
    team.for_each(n, [=](int64_t i) WEFT_LANE { sum[i] = x[i] + residual[i]; });
    x = sum;
  }
  const T mean = team.template sum<T>(n, [=](int64_t i) WEFT_LANE { return x[i]; }) / T(n);
  const T variance = team.template sum<T>(n, [=](int64_t i) WEFT_LANE {
    const T d = x[i] - mean;
    return d * d;
  }) / T(n);
  const T rstd = T(1) / std::sqrt(variance + eps);
  if (bias != nullptr) {
    team.for_each(n,
                  [=](int64_t i) WEFT_LANE { y[i] = (x[i] - mean) * rstd * weight[i] + bias[i]; });
  } else {
    team.for_each(n, [=](int64_t i) WEFT_LANE { y[i] = (x[i] - mean) * rstd * weight[i]; });
  }
  *mean_out = mean;
  *rstd_out = rstd;
}

// With n = (x - mean) rstd and g = dy weight: dx += rstd (g - mean(g) - n mean(g n)),
// dweight += dy n, dbias += dy (dbias may be null).
template <typename Team, typename T>
WEFT_KERNEL void norm_backward_row(Team team, int64_t n, const T* dy, const T* x, const T* weight,
                                   T mean, T rstd, T* dx, T* dweight, T* dbias) {
  const T g =
      team.template sum<T>(n, [=](int64_t i) WEFT_LANE { return dy[i] * weight[i]; }) / T(n);
  const T gn = team.template sum<T>(n, [=](int64_t i) WEFT_LANE {
    return dy[i] * weight[i] * ((x[i] - mean) * rstd);
  }) / T(n);
  team.for_each(n, [=](int64_t i) WEFT_LANE {
    const T normed = (x[i] - mean) * rstd;
    dx[i] += rstd * (dy[i] * weight[i] - g - normed * gn);
    dweight[i] += dy[i] * normed;
  });
  if (dbias != nullptr) {
    team.for_each(n, [=](int64_t i) WEFT_LANE { dbias[i] += dy[i]; });
  }
}

}  // namespace weft::kernels
