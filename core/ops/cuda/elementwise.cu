// add, scale, fill, copies that change the type, dropout.
#include "core/kernels/dropout.h"
#include "core/ops/cuda/device_rows.cuh"
#include "core/ops/cuda/kernels.h"

namespace weft::cuda {
namespace {

using kernels::Arithmetic;
using kernels::load;
using kernels::store;

template <typename S>
struct Add {
  const S *a, *b;
  S* y;
  template <int N>
  __device__ __forceinline__ void run(int64_t i) const {
    const auto p = load_pack<N>(a + i), q = load_pack<N>(b + i);
    Pack<S, N> sum;
#pragma unroll
    for (int k = 0; k < N; ++k) sum.v[k] = store<S>(load(p.v[k]) + load(q.v[k]));
    store_pack<N>(y + i, sum);
  }
};

template <typename S>
struct Scale {
  S* x;
  float factor;
  template <int N>
  __device__ __forceinline__ void run(int64_t i) const {
    auto p = load_pack<N>(x + i);
#pragma unroll
    for (int k = 0; k < N; ++k) p.v[k] = store<S>(load(p.v[k]) * factor);
    store_pack<N>(x + i, p);
  }
};

template <typename Bits>
struct Fill {
  Bits* x;
  Bits value;
  template <int N>
  __device__ __forceinline__ void run(int64_t i) const {
    Pack<Bits, N> p;
#pragma unroll
    for (int k = 0; k < N; ++k) p.v[k] = value;
    store_pack<N>(x + i, p);
  }
};

template <typename From, typename To>
struct Convert {
  const From* from;
  To* to;
  template <int N>
  __device__ __forceinline__ void run(int64_t i) const {
    const auto p = load_pack<N>(from + i);
    Pack<To, N> q;
#pragma unroll
    for (int k = 0; k < N; ++k) q.v[k] = store<To>(load(p.v[k]));
    store_pack<N>(to + i, q);
  }
};

struct ConvertStochastically {
  const float* from;
  Bf16* to;
  RandomKey key;
  ElementMap elements;
  template <int N>
  __device__ __forceinline__ void run(int64_t i) const {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      to[i + k] =
          kernels::store_stochastic(from[i + k], kernels::word_at(key, elements.number(i + k)));
    }
  }
};

template <typename Bits>
cudaError_t fill(int64_t n, uint64_t bits, void* x, cudaStream_t stream) {
  constexpr int kWide = 16 / static_cast<int>(sizeof(Bits));
  const Fill<Bits> f{static_cast<Bits*>(x), static_cast<Bits>(bits)};
  return launch_elements<kWide>(n, aligned16(x), f, stream);
}

// As with_storage, with f64.
template <typename F>
cudaError_t with_any_float(DType dtype, const F& f) {
  return dtype == DType::f64 ? f(double{}) : with_storage(dtype, f);
}

template <typename S>
__global__ __launch_bounds__(1024) void dropout_kernel(Dropout a) {
  const int64_t r = blockIdx.x;
  const int64_t first = a.map.at(r) * a.global_columns + a.first_column;
  kernels::dropout_blocks(kernels::CudaBlock(), a.key, static_cast<uint64_t>(first), a.columns,
                          a.threshold, a.factor, static_cast<const S*>(a.x) + r * a.columns,
                          static_cast<S*>(a.y) + r * a.columns);
}

}  // namespace

cudaError_t add(DType dtype, int64_t n, const void* a, const void* b, void* y,
                cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    const Add<S> f{static_cast<const S*>(a), static_cast<const S*>(b), static_cast<S*>(y)};
    return launch_elements<16 / sizeof(S)>(n, aligned16(a) && aligned16(b) && aligned16(y), f,
                                           stream);
  });
}

cudaError_t scale(DType dtype, int64_t n, void* x, float factor, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    return launch_elements<16 / sizeof(S)>(n, aligned16(x), Scale<S>{static_cast<S*>(x), factor},
                                           stream);
  });
}

cudaError_t fill_bits(int64_t n, int size, uint64_t bits, void* x, cudaStream_t stream) {
  switch (size) {
    case 1:
      return fill<uint8_t>(n, bits, x, stream);
    case 2:
      return fill<uint16_t>(n, bits, x, stream);
    case 4:
      return fill<uint32_t>(n, bits, x, stream);
    case 8:
      return fill<uint64_t>(n, bits, x, stream);
    default:
      return cudaErrorInvalidValue;
  }
}

cudaError_t convert(DType from_type, DType to_type, int64_t n, const void* from, void* to,
                    cudaStream_t stream) {
  return with_any_float(from_type, [&](auto from_zero) {
    return with_any_float(to_type, [&](auto to_zero) {
      using From = decltype(from_zero);
      using To = decltype(to_zero);
      const Convert<From, To> f{static_cast<const From*>(from), static_cast<To*>(to)};
      return launch_elements<4>(n, aligned16(from) && aligned16(to), f, stream);
    });
  });
}

cudaError_t copy_stochastic(int64_t n, const float* from, void* to, const RandomKey& key,
                            const ElementMap& elements, cudaStream_t stream) {
  return launch_elements<4>(
      n, false, ConvertStochastically{from, static_cast<Bf16*>(to), key, elements}, stream);
}

cudaError_t dropout(DType dtype, const Dropout& a, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    return launch_rows(dropout_kernel<S>, blocks_for(a.rows), threads_for(a.columns), 0, stream, a);
  });
}

}  // namespace weft::cuda
