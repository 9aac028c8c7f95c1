// Launches of the kernels behind CudaOps: plain pointers and sizes, because nvcc compiles the other
// side. Storage types are f32, bf16 and f16; what each kernel computes is said in ops.h. All
// enqueue on the stream and return the status of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include "core/base/dtype.h"
#include "core/base/philox.h"
#include "core/ops/cuda/partials.h"
#include "core/ops/token_share.h"

namespace weft::cuda {

struct Dropout {
  int64_t rows, columns;
  const void* x;
  void* y;
  RowMap map;
  RandomKey key;
  int64_t first_column, global_columns;
  uint32_t threshold;
  float factor;
};
cudaError_t dropout(DType dtype, const Dropout& args, cudaStream_t stream);

cudaError_t add(DType dtype, int64_t n, const void* a, const void* b, void* y, cudaStream_t stream);
cudaError_t scale(DType dtype, int64_t n, void* x, float factor, cudaStream_t stream);
// Elements of `size` bytes (1, 2, 4 or 8) of these bits.
cudaError_t fill_bits(int64_t n, int size, uint64_t bits, void* x, cudaStream_t stream);
// Between any two of f32, f64, bf16 and f16.
cudaError_t convert(DType from_type, DType to_type, int64_t n, const void* from, void* to,
                    cudaStream_t stream);

// ElementMap of ops.h.
struct Elements {
  int64_t first, columns, stride;
  constexpr uint64_t number(int64_t e) const {
    return static_cast<uint64_t>(first + e / columns * stride + e % columns);
  }
};
cudaError_t copy_stochastic(int64_t n, const float* from, void* to, const RandomKey& key,
                            const Elements& elements, cudaStream_t stream);

// Tensors of one launch, which are kernel arguments and hence few. Blocks of threads are shared out
// in order: tensor i has those from its `first_block` on.
struct AdamWTensor {
  int64_t n;
  float *weight, *grad;
  void *exp_avg, *exp_avg_sq, *rounded;  // rounded may be null
  double weight_decay;
  uint32_t streams[3];  // of weight, exp_avg, exp_avg_sq
  Elements elements;
  unsigned first_block;
};
struct AdamW {
  static constexpr int kMostTensors = 32;
  int count;
  AdamWTensor tensors[kMostTensors];
  DType moment, copy;
  const float* grad_scale;
  const int64_t* update;
  double lr, beta1, beta2, eps;
  bool stochastic;
  uint64_t seed;
};
// Sets the first_block of every tensor.
cudaError_t adamw(AdamW& args, cudaStream_t stream);

struct SquaresTensor {
  int64_t n;
  const void* x;
  double* partials;
  unsigned first_block;
};
struct Squares {
  static constexpr int kMostTensors = 96;
  int count;
  SquaresTensor tensors[kMostTensors];
};
// `dtype` may be f64 too. Sets the first_block of every tensor.
cudaError_t sum_squares(DType dtype, Squares& args, cudaStream_t stream);
cudaError_t clip_factor(int64_t n, const double* partials, double max_norm, const float* loss_scale,
                        double* norm, float* clip, cudaStream_t stream);

struct DecideUpdate {
  const double* norm;
  int64_t* counters;
  float* loss_scale;  // may be null
  int64_t growth_interval;
  double growth, backoff, min_scale, max_scale;
};
cudaError_t decide_update(const DecideUpdate& args, cudaStream_t stream);

}  // namespace weft::cuda
