// Attention: cuDNN for whole sequences where it serves, the tile kernels for all else in 16 bits,
// rows for f32 and for odd heads.
#include <algorithm>

#include "core/base/error.h"
#include "core/device/cuda/cuda_error.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/flash_attention.h"
#include "core/ops/cuda/simple_attention.h"

namespace weft {
namespace {

// The row kernels keep all scores of a row in shared memory.
void check_length(int64_t tokens, int64_t head_dim, DType dtype) {
  const int64_t limit = cuda::simple_attention_limit();
  if (tokens <= limit && head_dim <= 1024) return;
  fail(
      ErrorKind::config,
      "attention in {} with heads of {} takes at most {} tokens on this GPU, not {}; use bf16 with "
      "heads of a multiple of 8 up to 128, or more context-parallel ranks",
      name(dtype), head_dim, limit, tokens);
}

}  // namespace

void* CudaOps::cudnn_workspace(const AttentionProblem& problem, DType dtype, bool backward) {
  const int64_t bytes = needs_.cudnn_bytes(problem, dtype, backward);
  if (bytes < 0) return nullptr;
  return scratch_.get<char>(std::max<int64_t>(bytes, 1));
}

void CudaOps::attention_forward(const AttentionArgs& args, const Tensor& qkv, const Tensor& kv,
                                const Tensor& out, const Tensor& lse, Stream& stream) {
  check_attention_forward(args, qkv, kv, out, lse);
  const cuda::FlashForward a{.shape = attention_problem(args, qkv, kv),
                             .dtype = qkv.dtype(),
                             .qkv = qkv.raw(),
                             .kv = kv.raw(),
                             .out = out.raw(),
                             .lse = detail::data_or_null<float>(lse)};
  const cudaStream_t handle = cuda_stream(stream).handle();
  if (a.lse != nullptr) {
    if (void* workspace = cudnn_workspace(a.shape, a.dtype, false)) {
      cudnn_->forward(a, workspace, handle);
      return;
    }
  }
  if (cuda::flash_serves(a.shape, a.dtype)) {
    check_cuda(cuda::launch_flash_forward(a, handle), "start attention_forward");
    return;
  }
  check_length(kv.shape()[1], args.head_dim, a.dtype);
  check_cuda(cuda::launch_simple_forward(a, handle), "start attention_forward");
}

void CudaOps::attention_backward(const AttentionArgs& args, const Tensor& dout, const Tensor& qkv,
                                 const Tensor& kv, const Tensor& out, const Tensor& lse,
                                 const Tensor& dqkv, const Tensor& dkv, Stream& stream) {
  check_attention_backward(args, dout, qkv, kv, out, lse, dqkv, dkv);
  cuda::FlashBackward a{.shape = attention_problem(args, qkv, kv),
                        .dtype = qkv.dtype(),
                        .dout = dout.raw(),
                        .qkv = qkv.raw(),
                        .kv = kv.raw(),
                        .out = out.raw(),
                        .lse = lse.data<float>(),
                        .delta = nullptr,
                        .dqkv = dqkv.raw(),
                        .dkv = dkv.raw()};
  const cudaStream_t handle = cuda_stream(stream).handle();
  if (void* workspace = cudnn_workspace(a.shape, a.dtype, true)) {
    cudnn_->backward(a, workspace, handle);
    return;
  }
  a.delta = scratch_.get<float>(lse.elements());
  if (cuda::flash_serves(a.shape, a.dtype)) {
    check_cuda(cuda::launch_flash_backward(a, handle), "start attention_backward");
    return;
  }
  check_length(std::max(kv.shape()[1], qkv.shape()[1]), args.head_dim, a.dtype);
  check_cuda(cuda::launch_simple_backward(a, handle), "start attention_backward");
}

void CudaOps::attention_decode(const AttentionArgs& args, const Tensor& qkv, int64_t past,
                               const Tensor& k_cache, const Tensor& v_cache, const Tensor& out,
                               Stream& stream) {
  check_attention_decode(args, qkv, past, k_cache, v_cache, out);
  AttentionArgs packed = args;
  packed.queries = packed.keys = TokenShare::whole(qkv.shape()[1]);
  check_length(past + qkv.shape()[1], args.head_dim, qkv.dtype());
  const cuda::Decode a{.shape = attention_problem(packed, qkv, qkv),
                       .dtype = qkv.dtype(),
                       .past = past,
                       .capacity = k_cache.shape()[1],
                       .qkv = qkv.raw(),
                       .keys = k_cache.raw(),
                       .values = v_cache.raw(),
                       .out = out.raw()};
  check_cuda(cuda::launch_decode(a, cuda_stream(stream).handle()), "start attention_decode");
}

}  // namespace weft
