// The elementwise parts of a Newton-Schulz iteration.
#include "core/device/cuda/cuda_error.h"
#include "core/kernels/orthogonal.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/device_rows.cuh"

namespace weft::cuda {
namespace {

using kernels::CudaBlock;
using kernels::load;
using kernels::store;
constexpr int64_t kChunk = 8192;  // elements that a block divides

struct Normalized {
  int64_t n, partial_count;
  const float* x;
  const double* partials;
  void* y;
  double eps;
};

// Every block adds up the partial sums, in one order: there are 1024 times fewer than elements.
template <typename S>
__global__ __launch_bounds__(256) void normalize_kernel(Normalized a) {
  const double* partials = a.partials;
  const double sum =
      CudaBlock().sum<double>(a.partial_count, [=](int64_t i) { return partials[i]; });
  const float factor = kernels::normalizing_factor(sum, a.eps);
  const int64_t begin = int64_t{blockIdx.x} * kChunk;
  const float* x = a.x + begin;
  S* y = static_cast<S*>(a.y) + begin;
  CudaBlock().for_each(a.n - begin < kChunk ? a.n - begin : kChunk,
                       [=](int64_t i) { y[i] = store<S>(x[i] * factor); });
}

template <typename S>
struct PolynomialOf {
  int64_t n;
  const S* x;
  const float* square;
  S* y;
  float a, b, c;
  template <int N>
  __device__ __forceinline__ void run(int64_t i) const {
    const auto p = load_pack<N>(x + i);
    const auto q = load_pack<N>(square + i);
    Pack<S, N> r;
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const bool diagonal = (i + k) / n == (i + k) % n;
      r.v[k] = store<S>(kernels::polynomial_element(a, b, c, diagonal, load(p.v[k]), q.v[k]));
    }
    store_pack<N>(y + i, r);
  }
};

cudaError_t normalize(DType dtype, const Normalized& a, cudaStream_t stream) {
  return with_storage(dtype, [&](auto zero) {
    return launch_rows(normalize_kernel<decltype(zero)>, blocks_for((a.n + kChunk - 1) / kChunk),
                       256, 0, stream, a);
  });
}

cudaError_t polynomial(const op::Polynomial& args, cudaStream_t stream) {
  return with_storage(args.x.dtype(), [&](auto zero) {
    using S = decltype(zero);
    const PolynomialOf<S> f{.n = args.x.shape().back(),
                            .x = args.x.data<S>(),
                            .square = args.square.data<float>(),
                            .y = args.y.data<S>(),
                            .a = static_cast<float>(args.a),
                            .b = static_cast<float>(args.b),
                            .c = static_cast<float>(args.c)};
    return launch_elements<4>(f.n * f.n, aligned16(f.x) && aligned16(f.square) && aligned16(f.y), f,
                              stream);
  });
}

}  // namespace
}  // namespace weft::cuda

namespace weft {

void CudaOps::run(const op::Normalize& args, Stream& stream) {
  const cuda::Normalized a{.n = args.x.elements(),
                           .partial_count = args.partials.elements(),
                           .x = args.x.data<float>(),
                           .partials = args.partials.data<double>(),
                           .y = args.y.raw(),
                           .eps = args.eps};
  check_cuda(cuda::normalize(args.y.dtype(), a, cuda_stream(stream).handle()), "start normalize");
}

void CudaOps::run(const op::Polynomial& args, Stream& stream) {
  check_cuda(cuda::polynomial(args, cuda_stream(stream).handle()), "start polynomial");
}

}  // namespace weft
