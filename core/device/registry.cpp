// The devices this build has.
#include "core/device/cpu/cpu_device.h"
#include "core/device/device.h"

namespace weft {

std::unique_ptr<Device> make_device(const DeviceOptions& options) {
  if (options.kind == DeviceKind::cuda) {
    fail(ErrorKind::environment, "this build of weft has no CUDA backend; use device: cpu");
  }
  return make_cpu_device(options.threads);
}

}  // namespace weft
