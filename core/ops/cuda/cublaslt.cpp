#include "core/ops/cuda/cublaslt.h"

#include "core/base/error.h"

namespace weft {

CublasLt::CublasLt()
    : library_(fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR), WEFT_CUDA_LIBRARIES) {
  library_.find("cublasLtCreate", create);
  library_.find("cublasLtDestroy", destroy);
  library_.find("cublasLtGetVersion", get_version);
  library_.find("cublasLtMatmulDescCreate", desc_create);
  library_.find("cublasLtMatmulDescDestroy", desc_destroy);
  library_.find("cublasLtMatmulDescSetAttribute", desc_set);
  library_.find("cublasLtMatrixLayoutCreate", layout_create);
  library_.find("cublasLtMatrixLayoutDestroy", layout_destroy);
  library_.find("cublasLtMatmulPreferenceCreate", preference_create);
  library_.find("cublasLtMatmulPreferenceDestroy", preference_destroy);
  library_.find("cublasLtMatmulPreferenceSetAttribute", preference_set);
  library_.find("cublasLtMatmulAlgoGetHeuristic", heuristic);
  library_.find("cublasLtMatmulAlgoCheck", algo_check);
  library_.find("cublasLtMatmul", matmul);
}

void check_cublas(cublasStatus_t status, std::string_view what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail(ErrorKind::environment, "cuBLASLt cannot {}: status {}", what, static_cast<int>(status));
}

}  // namespace weft
