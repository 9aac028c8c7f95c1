// Team: the workers that execute one kernel together. Kernels are templates over a Team and say
// what is done for every element; only this header knows how the elements are spread.
//
// A Team offers
//   for_each(n, f)   f(i) for every i in [0, n), in any order
//   sum<T>(n, f)     sum of f(i) in an order that depends on n alone
//   max<T>(n, f)     maximum of f(i); -infinity when n is 0
//   sync()           what any worker read or wrote before it precedes what all do after it
#pragma once

#include <cstdint>
#include <limits>

#include "core/kernels/math.h"

namespace weft::kernels {

// One thread of the host, whose workers are the lanes of its vector unit.
struct HostTeam {
  WEFT_KERNEL void sync() const {}

  template <typename F>
  WEFT_KERNEL void for_each(int64_t n, const F& f) const {
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) f(i);
  }

  template <typename T, typename F>
  WEFT_KERNEL T sum(int64_t n, const F& f) const {
    T total = 0;
#pragma omp simd reduction(+ : total)
    for (int64_t i = 0; i < n; ++i) total += f(i);
    return total;
  }

  template <typename T, typename F>
  WEFT_KERNEL T max(int64_t n, const F& f) const {
    T best = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : best)
    for (int64_t i = 0; i < n; ++i) {
      const T value = f(i);
      best = best > value ? best : value;
    }
    return best;
  }
};

}  // namespace weft::kernels
