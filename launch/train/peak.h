// The machine's GEMM peak, measured: what utilization is a share of.
#pragma once

#include <optional>
#include <string>

#include "core/base/dtype.h"
#include "core/device/device.h"
#include "core/ops/ops.h"

namespace weft {

// Floating-point operations per second of the best of several GEMMs on this rank's device and
// threads: of 1024^3 in f32 on a CPU, which takes about 0.1 s, and of 8192^3 in `type` on a GPU.
// All ranks of a host measure at the same time, so that what they share is shared.
double measure_gemm_peak(Device& device, Stream& stream, Ops& ops, DType type);

// What a GPU's maker says of its matrix products.
struct PublishedPeak {
  double flops_per_second = 0;  // dense
  std::string source;
};
// Of the device with this description, in `type`; none where this page does not know it, and for
// CPUs, whose clocks say little.
std::optional<PublishedPeak> published_peak(const std::string& description, DType type);

}  // namespace weft
