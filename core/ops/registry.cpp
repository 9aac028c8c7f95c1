// The backends of the operations that this build has.
#include "core/ops/cpu/cpu_ops.h"

namespace weft {

std::unique_ptr<Ops> make_ops(Device& device) {
  WEFT_CHECK(device.kind() == DeviceKind::cpu, "no operations for {}", device.description());
  return std::make_unique<CpuOps>();
}

}  // namespace weft
