// Team: the workers that execute one kernel together. Kernels are templates over a Team and say
// what is done for every element; only this header knows how the elements are spread.
//
// A Team offers
//   for_each(n, f)   f(i) for every i in [0, n), in any order
//   sum<T>(n, f)     sum of f(i) in an order that depends on n alone
//   max<T>(n, f)     maximum of f(i); -infinity when n is 0
//   kCached          elements that stay near between two passes over them
//   sync()           what any worker read or wrote before it precedes what all do after it
#pragma once

#include <cstdint>
#include <limits>

#include "core/kernels/math.h"

namespace weft::kernels {

// One thread of the host, whose workers are the lanes of its vector unit.
struct HostTeam {
  static constexpr int64_t kCached = 2048;

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

#if defined(__CUDACC__)
// One block of a GPU, whose workers are its threads: whole warps, the same number for the same n
// wherever the order of a sum matters. Every thread calls every function. Element i belongs to
// thread i % threads in every for_each: a thread may read what it wrote itself; what others wrote,
// after sync(), sum() or max().
struct CudaBlock {
  static constexpr int64_t kCached = int64_t{1} << 40;  // its rows lie in shared memory

  WEFT_KERNEL void sync() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#endif
  }

  template <typename F>
  WEFT_KERNEL void for_each(int64_t n, const F& f) const {
#if defined(__CUDA_ARCH__)
    for (int64_t i = threadIdx.x; i < n; i += blockDim.x) f(i);
#endif
  }

  template <typename T, typename F>
  WEFT_KERNEL T sum(int64_t n, const F& f) const {
    T total = 0;
    for_each(n, [&](int64_t i) { total += f(i); });
    return combine(total, [](T a, T b) { return a + b; });
  }

  template <typename T, typename F>
  WEFT_KERNEL T max(int64_t n, const F& f) const {
    T best = -std::numeric_limits<T>::infinity();
    for_each(n, [&](int64_t i) {
      const T value = f(i);
      best = best > value ? best : value;
    });
    return combine(best, [](T a, T b) { return a > b ? a : b; });
  }

 private:
  // All threads' values by `op`: within warps as a butterfly, then warp by warp.
  template <typename T, typename Op>
  WEFT_KERNEL T combine(T value, const Op& op) const {
#if defined(__CUDA_ARCH__)
    __shared__ T of_warps[32];
    for (int offset = 16; offset > 0; offset /= 2) {
      value = op(value, __shfl_xor_sync(~0u, value, offset));
    }
    if (threadIdx.x % 32 == 0) of_warps[threadIdx.x / 32] = value;
    __syncthreads();
    value = of_warps[0];
    for (unsigned w = 1; w < blockDim.x / 32; ++w) value = op(value, of_warps[w]);
    __syncthreads();  // of_warps may be written again
#endif
    return value;
  }
};
#endif

}  // namespace weft::kernels
