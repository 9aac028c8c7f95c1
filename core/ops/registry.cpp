// The backends of the operations that this build has.
#include "core/device/cpu/cpu_device.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/dnnl_products.h"
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
  const DeviceOptions& options = cpu_device_options(device);
  return std::make_unique<CpuOps>(options.threads,
                                  detail::make_bf16_products(options.bf16_products));
}

std::unique_ptr<WorkingMemory> make_working_memory(const DeviceOptions& options) {
  if (options.kind == DeviceKind::cuda) {
    return std::make_unique<CudaWorkingMemory>(options.deterministic);
  }
  // What is planned here may be run elsewhere.
  const bool elsewhere =
      options.bf16_products == Bf16Products::native && !detail::DnnlProducts::serves(DType::bf16);
  return make_cpu_working_memory(
      options.threads, elsewhere ? nullptr : detail::make_bf16_products(options.bf16_products));
}

std::vector<CudaLibrary> cuda_libraries() {
#ifdef WEFT_CUDA
  return report_cuda_libraries();
#else
  return {};
#endif
}

}  // namespace weft
