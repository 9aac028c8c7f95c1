// Copies: by the copy engine where the types are the same, by kernels where they change.
#include <algorithm>

#include "core/device/cuda/cuda_error.h"
#include "core/kernels/random_words.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/device_rows.cuh"

namespace weft::cuda {
namespace {

using kernels::load;
using kernels::store;

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

// As with_storage, with f64.
template <typename F>
cudaError_t with_any_float(DType dtype, const F& f) {
  return dtype == DType::f64 ? f(double{}) : with_storage(dtype, f);
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

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::Copy& args, Stream& stream) {
  const Tensor &from = args.from, &to = args.to;
  const cudaStream_t handle = cuda_stream(stream).handle();
  if (from.dtype() == to.dtype()) {
    check_cuda(
        cudaMemcpyAsync(to.raw(), from.raw(), from.bytes(), cudaMemcpyDeviceToDevice, handle),
        "copy on the GPU");
    return;
  }
  check_cuda(cuda::convert(from.dtype(), to.dtype(), from.elements(), from.raw(), to.raw(), handle),
             "start copy");
}

void CudaOps::run(const op::CopyLastColumns& args, Stream& stream) {
  const Tensor &from = args.from, &to = args.to;
  const auto row_bytes = [](const Tensor& t) {
    return static_cast<size_t>(t.shape().back()) * size_of(t.dtype());
  };
  const size_t bytes = std::min(row_bytes(from), row_bytes(to));
  check_cuda(cudaMemcpy2DAsync(static_cast<char*>(to.raw()) + row_bytes(to) - bytes, row_bytes(to),
                               static_cast<const char*>(from.raw()) + row_bytes(from) - bytes,
                               row_bytes(from), bytes, static_cast<size_t>(from.shape().rows()),
                               cudaMemcpyDeviceToDevice, cuda_stream(stream).handle()),
             "copy columns on the GPU");
}

void CudaOps::run(const op::CopyStochastic& args, Stream& stream) {
  const cuda::ConvertStochastically convert{args.from.data<float>(), args.to.data<Bf16>(), args.key,
                                            args.elements};
  check_cuda(
      cuda::launch_elements<4>(args.from.elements(), false, convert, cuda_stream(stream).handle()),
      "start copy_stochastic");
}

}  // namespace weft
