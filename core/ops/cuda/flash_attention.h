// Launches of the attention kernels over matrix instructions (core/kernels/flash_*.h).
#pragma once

#include <cuda_runtime_api.h>

#include "core/base/dtype.h"
#include "core/ops/attention_problem.h"

namespace weft::cuda {

// Plain pointers to tensors of `dtype`, bf16 or f16, as AttentionSpec describes them.
struct FlashForward {
  AttentionProblem shape;
  DType dtype;
  const void *qkv, *kv;
  void* out;
  float* lse;  // may be null
};
struct FlashBackward {
  AttentionProblem shape;
  DType dtype;
  const void *dout, *qkv, *kv, *out;
  const float* lse;
  float* delta;  // [batch, heads, queries], working memory
  void *dqkv, *dkv;
};

// Whether the kernels take this shape: a head dim of at most 128 and a multiple of 8, and rows and
// heads that begin at multiples of 16 bytes.
bool flash_serves(const AttentionProblem& shape, DType dtype);

// Both want flash_serves(); they return the status of the launch.
cudaError_t launch_flash_forward(const FlashForward& args, cudaStream_t stream);
cudaError_t launch_flash_backward(const FlashBackward& args, cudaStream_t stream);

}  // namespace weft::cuda
