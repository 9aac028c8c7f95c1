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

void CudaOps::run(const op::AttentionForward& args, Stream& stream) {
  const cuda::FlashForward a{.shape = attention_problem(args.spec, args.qkv, args.kv),
                             .dtype = args.qkv.dtype(),
                             .qkv = args.qkv.raw(),
                             .kv = args.kv.raw(),
                             .out = args.out.raw(),
                             .lse = detail::data_or_null<float>(args.lse)};
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
  check_length(args.kv.shape()[1], args.spec.head_dim, a.dtype);
  check_cuda(cuda::launch_simple_forward(a, handle), "start attention_forward");
}

void CudaOps::run(const op::AttentionBackward& args, Stream& stream) {
  cuda::FlashBackward a{.shape = attention_problem(args.spec, args.qkv, args.kv),
                        .dtype = args.qkv.dtype(),
                        .dout = args.dout.raw(),
                        .qkv = args.qkv.raw(),
                        .kv = args.kv.raw(),
                        .out = args.out.raw(),
                        .lse = args.lse.data<float>(),
                        .delta = nullptr,
                        .dqkv = args.dqkv.raw(),
                        .dkv = args.dkv.raw()};
  const cudaStream_t handle = cuda_stream(stream).handle();
  if (void* workspace = cudnn_workspace(a.shape, a.dtype, true)) {
    cudnn_->backward(a, workspace, handle);
    return;
  }
  a.delta = scratch_.get<float>(args.lse.elements());
  if (cuda::flash_serves(a.shape, a.dtype)) {
    check_cuda(cuda::launch_flash_backward(a, handle), "start attention_backward");
    return;
  }
  check_length(std::max(args.kv.shape()[1], args.qkv.shape()[1]), args.spec.head_dim, a.dtype);
  check_cuda(cuda::launch_simple_backward(a, handle), "start attention_backward");
}

void CudaOps::run(const op::AttentionDecode& args, Stream& stream) {
  AttentionSpec spec = args.spec;
  spec.queries = spec.keys = TokenShare::whole(args.qkv.shape()[1]);
  check_length(args.past + args.qkv.shape()[1], args.spec.head_dim, args.qkv.dtype());
  const cuda::Decode a{.shape = attention_problem(spec, args.qkv, args.qkv),
                       .dtype = args.qkv.dtype(),
                       .past = args.past,
                       .capacity = args.k_cache.shape()[1],
                       .qkv = args.qkv.raw(),
                       .keys = args.k_cache.raw(),
                       .values = args.v_cache.raw(),
                       .out = args.out.raw()};
  check_cuda(cuda::launch_decode(a, cuda_stream(stream).handle()), "start attention_decode");
}

}  // namespace weft
