// Softmax statistics and the gradient of the cross-entropy, one row of logits at a time.
#pragma once

#include "core/kernels/storage.h"
#include "core/kernels/team.h"

namespace weft::kernels {

// max_out = the largest of x[0, n), sum_out = sum of e^(x - max). One pass over memory: the row is
// taken in blocks that stay in the first-level cache, and the running sum is rescaled when a block
// raises the maximum. n = 0 gives -infinity and 0.
template <typename Team, typename S, typename T = Arithmetic<S>>
WEFT_KERNEL void softmax_stats_row(Team team, int64_t n, const S* x, T* max_out, T* sum_out) {
  constexpr int64_t kBlock = Team::kCached;
  T best = -std::numeric_limits<T>::infinity();
  T total = 0;
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const S* block = x + begin;
    const int64_t count = n - begin < kBlock ? n - begin : kBlock;
    const T block_max =
        team.template max<T>(count, [=](int64_t i) WEFT_LANE { return load(block[i]); });
    if (block_max > best) {
      total *= exp(best - block_max);
      best = block_max;
    }
    const T shift = best;
    total += team.template sum<T>(count,
                                  [=](int64_t i) WEFT_LANE { return exp(load(block[i]) - shift); });
  }
  *max_out = best;
  *sum_out = total;
}

// In place: x[0, n) = e^(x - shift) * factor, less `scale` at `target` (nowhere if negative); x[n,
// width) = 0.
template <typename Team, typename S, typename T = Arithmetic<S>>
WEFT_KERNEL void softmax_gradient_row(Team team, int64_t n, int64_t width, T shift, T factor,
                                      int64_t target, T scale, S* x) {
  // From the logit itself: beside a rounded probability close to 1 the difference would be lost.
  const T hit = target < 0 ? T(0) : exp(load(x[target]) - shift) * factor - scale;
  team.sync();
  team.for_each(n, [=](int64_t i) WEFT_LANE { x[i] = store<S>(exp(load(x[i]) - shift) * factor); });
  team.for_each(width - n, [=](int64_t i) WEFT_LANE { x[n + i] = store<S>(T(0)); });
  team.sync();
  if (target >= 0) x[target] = store<S>(hit);
}

}  // namespace weft::kernels
