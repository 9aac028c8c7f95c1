#include "core/backends/backends.h"

#include "core/base/error.h"
#include "core/device/cpu/cpu_device.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/dnnl_products.h"
#include "core/ops/cuda/working_memory.h"
#ifdef WEFT_CUDA
#include "core/device/cuda/cuda_device.h"
#include "core/ops/cuda/cuda_ops.h"
#endif

namespace weft {

std::unique_ptr<Device> make_device(const DeviceOptions& options) {
  if (options.kind == DeviceKind::cpu) return make_cpu_device(options);
#ifdef WEFT_CUDA
  return make_cuda_device(options);
#else
  fail(ErrorKind::environment,
       "this build of weft has no CUDA backend: use device: cpu, or install the CUDA toolkit and "
       "build again");
#endif
}

std::unique_ptr<Recorder> make_recorder([[maybe_unused]] Device& device) {
#ifdef WEFT_CUDA
  if (device.kind() == DeviceKind::cuda) return make_cuda_recorder();
#endif
  return nullptr;
}

CudaReport cuda_report() {
#ifdef WEFT_CUDA
  return report_cuda();
#else
  return {};
#endif
}

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
