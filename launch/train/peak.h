// The machine's GEMM peak, measured: what utilization is a share of.
#pragma once

#include "core/device/device.h"
#include "core/ops/ops.h"

namespace weft {

// Floating-point operations per second of the best of several f32 GEMMs of 1024^3 on this rank's
// device and threads; takes about 0.1 s. All ranks of a host measure at the same time, so that what
// they share is shared.
double measure_gemm_peak(Device& device, Stream& stream, Ops& ops);

}  // namespace weft
