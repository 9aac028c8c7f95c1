#include "core/device/cuda/cuda_error.h"

#include "core/base/error.h"

namespace weft {
namespace {

std::string_view advice(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation:
      return "; use a smaller micro-batch or sequence, recompute, or more ranks";
    case cudaErrorInsufficientDriver:
      return "; the GPU driver is missing or too old for this build";
    case cudaErrorNoDevice:
      return "; no GPU is visible (CUDA_VISIBLE_DEVICES)";
    case cudaErrorNoKernelImageForDevice:
      return "; this build has no kernels for this GPU: build with -DWEFT_CUDA_ARCHITECTURE for it";
    case cudaErrorDevicesUnavailable:
      return "; another process uses the GPU in exclusive mode";
    default:
      return "";
  }
}

}  // namespace

void check_cuda(cudaError_t status, std::string_view what) {
  if (status == cudaSuccess) return;
  fail(ErrorKind::environment, "CUDA cannot {}: {} ({}){}", what, cudaGetErrorString(status),
       cudaGetErrorName(status), advice(status));
}

}  // namespace weft
