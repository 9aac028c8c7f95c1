// Sums over rows, in blocks of rows that depend on nothing but their number.
#pragma once

#include <cuda_runtime_api.h>

#include "core/base/dtype.h"
#include "core/ops/cuda/partials.h"

namespace weft::cuda {

// sums[c] += the sum of column c of x.
struct ColumnSums {
  int64_t rows, columns;
  const void* x;
  float* sums;
  float* partials;  // [blocks, columns]
};
cudaError_t add_column_sums(DType dtype, const ColumnSums& args, cudaStream_t stream);

// first[c] += partials[block, c] over the blocks for the first `columns` of `width` columns, and
// second[c - columns] for the rest, in an order that the number of blocks fixes.
cudaError_t add_partials(int64_t blocks, int64_t width, int64_t columns, const float* partials,
                         float* first, float* second, cudaStream_t stream);

}  // namespace weft::cuda
