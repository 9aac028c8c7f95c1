#include "core/kernels/activation.h"
#include "core/ops/cuda/device_rows.cuh"
#include "core/ops/cuda/epilogue.h"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;

// A block finishes kColumns columns of a row.
constexpr int64_t kColumns = 2048;

template <typename Act, typename Slope, typename S>
__global__ __launch_bounds__(256) void finish_kernel(Epilogue a) {
  const CudaBlock team;
  const int64_t begin = int64_t{blockIdx.y} * kColumns;
  const int64_t n = a.columns - begin < kColumns ? a.columns - begin : kColumns;
  const int64_t at = int64_t{blockIdx.x} * a.columns + begin;
  float* v = a.v + at;
  S* c = static_cast<S*>(a.c) + at;
  kernels::activate_row<Act>(team, n,
                             a.bias == nullptr ? nullptr : static_cast<const S*>(a.bias) + begin,
                             a.pre == nullptr ? nullptr : static_cast<S*>(a.pre) + at, v);
  if constexpr (Slope::kIdentity) {
    team.for_each(n, [=](int64_t i) { c[i] = kernels::store<S>(v[i]); });
  } else {
    kernels::activation_gradient_row<Slope>(team, n, static_cast<const float*>(v),
                                            static_cast<const S*>(a.input) + at, c);
  }
}

template <typename F>
cudaError_t with_activation(Activation activation, const F& f) {
  switch (activation) {
    case Activation::none:
      return f(kernels::Identity<float>{});
    case Activation::relu:
      return f(kernels::Relu<float>{});
    case Activation::gelu_tanh:
      return f(kernels::GeluTanh<float>{});
    case Activation::gelu:
      return f(kernels::Gelu<float>{});
  }
  return cudaErrorInvalidValue;
}

}  // namespace

cudaError_t finish_product(DType dtype, const Epilogue& a, cudaStream_t stream) {
  const dim3 grid(blocks_for(a.rows), static_cast<unsigned>((a.columns + kColumns - 1) / kColumns));
  return with_storage(dtype, [&](auto zero) {
    using S = decltype(zero);
    using None = kernels::Identity<float>;
    // No layer asks for both in one product.
    if (a.gradient == Activation::none) {
      return with_activation(a.activation, [&](auto act) {
        return launch_rows(finish_kernel<decltype(act), None, S>, grid, 256, 0, stream, a);
      });
    }
    if (a.activation != Activation::none) return cudaErrorInvalidValue;
    return with_activation(a.gradient, [&](auto slope) {
      return launch_rows(finish_kernel<None, decltype(slope), S>, grid, 256, 0, stream, a);
    });
  });
}

}  // namespace weft::cuda
