// gemm: the general matrix product for the element types the BLAS does not serve well.
#pragma once

#include <cstdint>

#include "core/ops/cpu/scratch.h"

namespace weft::detail {

// c (+)= a b with a [m,k] and b [k,n] in any strides, c [m,n] with rows c_row apart.
template <typename T>
struct GemmTask {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_column;
  const T* b;
  int64_t b_row, b_column;
  T* c;
  int64_t c_row;
  bool accumulate;
};

// Runs in `threads` threads; the result does not depend on how many.
template <typename T>
void gemm(const GemmTask<T>& task, int threads, Scratch& scratch);

}  // namespace weft::detail
