// Launches of attention by rows (core/kernels/simple_attention.h), for what the tile kernels do not
// take.
#pragma once

#include <cuda_runtime_api.h>

#include "core/ops/cuda/flash_attention.h"

namespace weft::cuda {

// The longest sequence whose scores lie in shared memory.
int64_t simple_attention_limit();

// As the tile kernels, for any head and f32 too.
cudaError_t launch_simple_forward(const FlashForward& args, cudaStream_t stream);
cudaError_t launch_simple_backward(const FlashBackward& args, cudaStream_t stream);

// op::AttentionDecode: shape.queries are the new tokens from `past` on.
struct Decode {
  AttentionProblem shape;
  DType dtype;
  int64_t past, capacity;
  const void* qkv;
  void *keys, *values;  // caches [batch, capacity, kv_heads * dim]
  void* out;
};
cudaError_t launch_decode(const Decode& args, cudaStream_t stream);

}  // namespace weft::cuda
