#include <cublasLt.h>

#include "core/base/error.h"
#include "core/ops/cuda/cuda_ops.h"
#include "core/ops/cuda/dynamic_library.h"

namespace weft {
namespace {

// Library `file`, whose function `symbol` returns its version, the major one times `major`.
CudaLibrary ask(const char* name, const std::string& file, const char* symbol, size_t major) {
  try {
    const DynamicLibrary library(file, WEFT_CUDA_LIBRARIES);
    size_t (*version)() = nullptr;
    library.find(symbol, version);
    const size_t number = version();
    return {name, fmt::format("{}.{}.{}", number / major, number % major / 100, number % 100), ""};
  } catch (const Error& error) {
    return {name, "", error.what()};
  }
}

// NCCL, which reports its version like no other.
CudaLibrary ask_nccl() {
  try {
    const DynamicLibrary library("libnccl.so.2", WEFT_CUDA_LIBRARIES);
    int (*version)(int*) = nullptr;
    library.find("ncclGetVersion", version);
    int number = 0;
    version(&number);
    return {"NCCL", fmt::format("{}.{}.{}", number / 10000, number % 10000 / 100, number % 100),
            ""};
  } catch (const Error& error) {
    return {"NCCL", "", error.what()};
  }
}

}  // namespace

std::vector<CudaLibrary> report_cuda_libraries() {
  return {ask("cuBLASLt", fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR), "cublasLtGetVersion",
              10000),
          ask("cuDNN", "libcudnn.so.9", "cudnnGetVersion", 10000), ask_nccl()};
}

}  // namespace weft
