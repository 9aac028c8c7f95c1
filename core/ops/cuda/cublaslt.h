// cuBLASLt, opened at run time: the functions of it that weft calls.
#pragma once

#include <cublasLt.h>

#include <string_view>

#include "core/ops/cuda/dynamic_library.h"

namespace weft {

// Functions have the names and types of cublasLt.h without their prefix.
class CublasLt {
 public:
  CublasLt();

  decltype(cublasLtCreate)* create;
  decltype(cublasLtDestroy)* destroy;
  decltype(cublasLtGetVersion)* get_version;
  decltype(cublasLtMatmulDescCreate)* desc_create;
  decltype(cublasLtMatmulDescDestroy)* desc_destroy;
  decltype(cublasLtMatmulDescSetAttribute)* desc_set;
  decltype(cublasLtMatrixLayoutCreate)* layout_create;
  decltype(cublasLtMatrixLayoutDestroy)* layout_destroy;
  decltype(cublasLtMatmulPreferenceCreate)* preference_create;
  decltype(cublasLtMatmulPreferenceDestroy)* preference_destroy;
  decltype(cublasLtMatmulPreferenceSetAttribute)* preference_set;
  decltype(cublasLtMatmulAlgoGetHeuristic)* heuristic;
  decltype(cublasLtMatmulAlgoCheck)* algo_check;
  decltype(cublasLtMatmul)* matmul;

 private:
  DynamicLibrary library_;
};

// Throws Error{environment} unless status is CUBLAS_STATUS_SUCCESS. `what` completes "cuBLASLt
// cannot ...".
void check_cublas(cublasStatus_t status, std::string_view what);

}  // namespace weft
