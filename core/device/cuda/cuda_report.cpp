// What doctor says about CUDA.
#include "core/base/error.h"
#include "core/device/cuda/cuda_device.h"
#include "core/device/cuda/cuda_error.h"

namespace weft {
namespace {

// 13020 is 13.2.
std::string version_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

std::string describe(int index) {
  cudaDeviceProp p{};
  const cudaError_t status = cudaGetDeviceProperties(&p, index);
  if (status != cudaSuccess) return fmt::format("GPU {}: {}", index, cudaGetErrorString(status));
  return fmt::format("GPU {}: {}, compute capability {}.{}, {} multiprocessors, {:.0f} GiB", index,
                     p.name, p.major, p.minor, p.multiProcessorCount,
                     static_cast<double>(p.totalGlobalMem) / (1 << 30));
}

}  // namespace

CudaReport report_cuda() {
  CudaReport report{.built = true};
  int driver = 0, count = 0;
  cudaDriverGetVersion(&driver);
  report.runtime = fmt::format("runtime {}, driver {}", version_text(CUDART_VERSION),
                               driver == 0 ? "none" : "for " + version_text(driver));
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (driver == 0) {
    report.problem = "this machine has no NVIDIA driver";
    cudaGetLastError();
  } else if (status != cudaSuccess || count == 0) {
    report.problem = status != cudaSuccess ? cudaGetErrorString(status) : "none is visible";
    cudaGetLastError();
  }
  for (int i = 0; i < count; ++i) report.devices.push_back(describe(i));
  return report;
}

}  // namespace weft
