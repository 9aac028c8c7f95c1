// The backends of the operations that this build has.
#include "core/device/cpu/cpu_device.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cuda_libraries.h"
#include "core/ops/cuda_working_memory.h"
#ifdef WEFT_CUDA
#include "core/ops/cuda/cuda_ops.h"
#endif

namespace weft {

std::unique_ptr<Ops> make_ops(Device& device) {
#ifdef WEFT_CUDA
  if (device.kind() == DeviceKind::cuda) return make_cuda_ops(device);
#endif
  WEFT_CHECK(device.kind() == DeviceKind::cpu, "no operations for {}", device.description());
  return std::make_unique<CpuOps>(device.threads());
}

std::unique_ptr<WorkingMemory> make_working_memory(const DeviceOptions& options) {
  if (options.kind == DeviceKind::cuda) {
    return std::make_unique<CudaWorkingMemory>(options.deterministic);
  }
  return make_cpu_working_memory(options.threads);
}

std::vector<CudaLibrary> cuda_libraries() {
#ifdef WEFT_CUDA
  return report_cuda_libraries();
#else
  return {};
#endif
}

}  // namespace weft
