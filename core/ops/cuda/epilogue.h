// The epilogue of matrix products that cuBLASLt does not compute as op::Matmul says.
#pragma once

#include <cuda_runtime_api.h>

#include "core/base/dtype.h"
#include "core/ops/matmul.h"

namespace weft::cuda {

// For rows of products v in f32, which it changes.
struct Epilogue {
  int64_t rows, columns;
  float* v;
  const void* bias;  // bias, pre and input may be null
  void* pre;
  const void* input;
  void* c;  // of `dtype`; may be v
  Activation activation, gradient;
};
cudaError_t finish_product(DType dtype, const Epilogue& args, cudaStream_t stream);

}  // namespace weft::cuda
