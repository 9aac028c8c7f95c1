// Elementwise operations, 16 bytes at a time where memory allows.
#include <bit>

#include "core/device/cuda/cuda_error.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/device_rows.cuh"

namespace weft::cuda {
namespace {

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

// The bits of `value` in this type.
uint64_t bits_of(DType dtype, double value) {
  switch (dtype) {
    case DType::f64:
      return std::bit_cast<uint64_t>(value);
    case DType::f32:
      return std::bit_cast<uint32_t>(static_cast<float>(value));
    case DType::bf16:
      return kernels::store<Bf16>(value).bits;
    case DType::f16:
      return kernels::store<F16>(value).bits;
    default:
      return static_cast<uint64_t>(static_cast<int64_t>(value));
  }
}

template <typename Bits>
cudaError_t fill(int64_t n, uint64_t bits, void* x, cudaStream_t stream) {
  constexpr int kWide = 16 / static_cast<int>(sizeof(Bits));
  const Fill<Bits> f{static_cast<Bits*>(x), static_cast<Bits>(bits)};
  return launch_elements<kWide>(n, aligned16(x), f, stream);
}

cudaError_t add(DType dtype, int64_t n, const void* a, const void* b, void* y,
                cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    const Add<S> f{static_cast<const S*>(a), static_cast<const S*>(b), static_cast<S*>(y)};
    return launch_elements<16 / sizeof(S)>(n, aligned16(a) && aligned16(b) && aligned16(y), f,
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

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::Add& args, Stream& stream) {
  check_cuda(cuda::add(args.a.dtype(), args.a.elements(), args.a.raw(), args.b.raw(), args.y.raw(),
                       cuda_stream(stream).handle()),
             "start add");
}

void CudaOps::run(const op::Fill& args, Stream& stream) {
  const DType dtype = args.x.dtype();
  check_cuda(
      cuda::fill_bits(args.x.elements(), static_cast<int>(size_of(dtype)),
                      cuda::bits_of(dtype, args.value), args.x.raw(), cuda_stream(stream).handle()),
      "start fill");
}

}  // namespace weft
