// The devices this build has.
#include "core/base/error.h"
#include "core/device/cpu/cpu_device.h"
#include "core/device/device.h"
#include "core/device/recorder.h"
#ifdef WEFT_CUDA
#include "core/device/cuda/cuda_device.h"
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

}  // namespace weft
