#include "core/kernels/flash_backward.h"
#include "core/kernels/flash_forward.h"
#include "core/ops/cuda/flash_attention.h"

namespace weft::cuda {
namespace {

namespace flash = kernels::flash;
using kernels::CudaWarp;
template <typename S>
using Forward = flash::Forward<S, AttentionProblem>;
template <typename S>
using Backward = flash::Backward<S, AttentionProblem>;

extern __shared__ uint4 shared_memory[];

// Blocks of one head follow each other, the longest (whose queries see most keys) first.
template <int D, typename S>
__global__ __launch_bounds__(flash::kThreads) void forward_kernel(Forward<S> p) {
  const int64_t block = gridDim.x - 1 - blockIdx.x;
  flash::forward_block<D>(CudaWarp(), p, blockIdx.z, blockIdx.y, block,
                          reinterpret_cast<S*>(shared_memory));
}
template <int D, typename S>
__global__ __launch_bounds__(flash::kThreads) void query_gradient_kernel(Backward<S> p) {
  const int64_t block = gridDim.x - 1 - blockIdx.x;
  flash::query_gradient_block<D>(CudaWarp(), p, blockIdx.z, blockIdx.y, block,
                                 reinterpret_cast<S*>(shared_memory));
}
template <int D, typename S>
__global__ __launch_bounds__(flash::kThreads) void key_gradient_kernel(Backward<S> p) {
  flash::key_gradient_block<D>(CudaWarp(), p, blockIdx.z, blockIdx.y, blockIdx.x,
                               reinterpret_cast<S*>(shared_memory));
}

// delta = dout . out of each query and head, a warp each.
template <typename S>
__global__ __launch_bounds__(flash::kThreads) void delta_kernel(AttentionProblem shape,
                                                                const S* dout, const S* out,
                                                                float* delta) {
  const int64_t row = int64_t{blockIdx.x} * flash::kWarps + threadIdx.x / 32;
  if (row >= shape.batch * shape.queries.count * shape.heads) return;
  const int64_t h = row % shape.heads;
  const int64_t query = row / shape.heads % shape.queries.count;
  const int64_t b = row / shape.heads / shape.queries.count;
  const int64_t at = shape.out_at(b, h) + query * shape.out_width();
  float sum = 0.0f;
  for (int64_t d = threadIdx.x % 32; d < shape.dim; d += 32) {
    sum += kernels::load(dout[at + d]) * kernels::load(out[at + d]);
  }
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_xor_sync(~0u, sum, offset);
  if (threadIdx.x % 32 == 0) delta[shape.lse_at(b, h) + query] = sum;
}

template <typename Kernel, typename Args>
cudaError_t launch(Kernel* kernel, dim3 grid, int shared_bytes, const Args& args,
                   cudaStream_t stream) {
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_bytes);
  if (status != cudaSuccess) return status;
  kernel<<<grid, flash::kThreads, shared_bytes, stream>>>(args);
  return cudaGetLastError();
}

dim3 grid_of(int64_t rows, int64_t heads, int64_t batch) {
  return dim3(static_cast<unsigned>((rows + flash::kRows - 1) / flash::kRows),
              static_cast<unsigned>(heads), static_cast<unsigned>(batch));
}

template <int D, typename S>
cudaError_t forward(const FlashForward& a, cudaStream_t stream) {
  const Forward<S> p{a.shape, static_cast<const S*>(a.qkv), static_cast<const S*>(a.kv),
                     static_cast<S*>(a.out), a.lse};
  constexpr int kBytes = flash::kForwardElements<D> * static_cast<int>(sizeof(S));
  return launch(forward_kernel<D, S>, grid_of(a.shape.queries.count, a.shape.heads, a.shape.batch),
                kBytes, p, stream);
}

template <int D, typename S>
cudaError_t backward(const FlashBackward& a, cudaStream_t stream) {
  const AttentionProblem& shape = a.shape;
  const int64_t rows = shape.batch * shape.queries.count * shape.heads;
  delta_kernel<S>
      <<<static_cast<unsigned>((rows + flash::kWarps - 1) / flash::kWarps), flash::kThreads, 0,
         stream>>>(shape, static_cast<const S*>(a.dout), static_cast<const S*>(a.out), a.delta);
  const Backward<S> p{shape,
                      static_cast<const S*>(a.dout),
                      static_cast<const S*>(a.qkv),
                      static_cast<const S*>(a.kv),
                      a.lse,
                      a.delta,
                      static_cast<S*>(a.dqkv),
                      static_cast<S*>(a.dkv)};
  constexpr int kBytes = flash::kBackwardElements<D> * static_cast<int>(sizeof(S));
  const cudaError_t status =
      launch(query_gradient_kernel<D, S>, grid_of(shape.queries.count, shape.heads, shape.batch),
             kBytes, p, stream);
  if (status != cudaSuccess) return status;
  return launch(key_gradient_kernel<D, S>, grid_of(shape.keys.count, shape.kv_heads, shape.batch),
                kBytes, p, stream);
}

// Calls f with D, the head's dimension rounded up, and a value of the storage type.
template <typename F>
cudaError_t with_kernel(const AttentionProblem& shape, DType dtype, const F& f) {
  const bool wide = shape.dim > 64;
  if (dtype == DType::bf16) {
    return wide ? f(std::integral_constant<int, 128>(), Bf16{})
                : f(std::integral_constant<int, 64>(), Bf16{});
  }
  return wide ? f(std::integral_constant<int, 128>(), F16{})
              : f(std::integral_constant<int, 64>(), F16{});
}

}  // namespace

bool flash_serves(const AttentionProblem& shape, DType dtype) {
  return (dtype == DType::bf16 || dtype == DType::f16) && shape.dim <= 128 && shape.dim % 8 == 0 &&
         shape.q_width % 8 == 0 && shape.kv_width % 8 == 0;
}

cudaError_t launch_flash_forward(const FlashForward& args, cudaStream_t stream) {
  return with_kernel(args.shape, args.dtype, [&](auto width, auto zero) {
    return forward<decltype(width)::value, decltype(zero)>(args, stream);
  });
}

cudaError_t launch_flash_backward(const FlashBackward& args, cudaStream_t stream) {
  return with_kernel(args.shape, args.dtype, [&](auto width, auto zero) {
    return backward<decltype(width)::value, decltype(zero)>(args, stream);
  });
}

}  // namespace weft::cuda
