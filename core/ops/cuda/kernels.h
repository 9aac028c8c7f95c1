// Launches of the kernels behind CudaOps: plain pointers and sizes, because nvcc compiles the other
// side. Storage types are f32, bf16 and f16; what each kernel computes is said in ops.h. All
// enqueue on the stream and return the status of the launch.
#pragma once

#include <cuda_runtime_api.h>

#include "core/base/dtype.h"
#include "core/base/philox.h"
#include "core/ops/element_map.h"
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

cudaError_t copy_stochastic(int64_t n, const float* from, void* to, const RandomKey& key,
                            const ElementMap& elements, cudaStream_t stream);

}  // namespace weft::cuda
