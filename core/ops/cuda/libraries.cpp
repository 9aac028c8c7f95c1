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

// What computes a model's attention on the GPU that is there: cuDNN may be found and not serve.
CudaLibrary ask_attention() {
  AttentionProblem p{};
  p.batch = 1;
  p.heads = p.kv_heads = 12;
  p.dim = 64;
  p.q_width = p.kv_width = 3 * p.heads * p.dim;
  p.scale = 0.125f;
  p.queries = p.keys = TokenShare::whole(1024);
  std::string problem;
  try {
    CudnnAttention cudnn(true);
    if (cudnn.workspace_bytes(p, DType::bf16, true) >= 0) return {"attention", "by cuDNN", ""};
    problem = cudnn.why_not();
  } catch (const Error& error) {
    problem = error.what();
  }
  return {"attention", "by kernels of weft's own: " + problem, ""};
}

}  // namespace

std::vector<CudaLibrary> report_cuda_libraries() {
  std::vector<CudaLibrary> all{ask("cuBLASLt", fmt::format("libcublasLt.so.{}", CUBLAS_VER_MAJOR),
                                   "cublasLtGetVersion", 10000),
                               ask("cuDNN", "libcudnn.so.9", "cudnnGetVersion", 10000), ask_nccl()};
  int gpus = 0;
  if (cudaGetDeviceCount(&gpus) == cudaSuccess && gpus > 0) all.push_back(ask_attention());
  return all;
}

}  // namespace weft
