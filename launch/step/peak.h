// The machine's GEMM peak, measured: what utilization is a share of.
#pragma once

#include <optional>
#include <string>

#include "core/base/dtype.h"
#include "core/device/device.h"
#include "core/mesh/communicator.h"
#include "core/ops/ops.h"
#include "launch/step/peak_file.h"

namespace weft {

// Floating-point operations per second of the best of several GEMMs of `type` on this rank's device
// and threads: of 1024 rows by 1024^2 and fewer rows on a CPU, and on for `seconds` at most while a
// tenth of one still brings a better one; of 8192^3 on a GPU. All ranks of a host measure at the
// same time, so that what they share is shared.
double measure_gemm_peak(Device& device, Stream& stream, Ops& ops, DType type, double seconds);

// The peak of all ranks of a job, a property of their machines and of `type` that runs correct
// upward: the most that was ever measured there with as many threads, kept in `file`.
class JobPeak {
 public:
  // Measures for a second at most where none is kept, and shortly where one is. Collective.
  JobPeak(Device& device, Stream& stream, DType type, Bf16Products products, Bootstrap& bootstrap,
          PeakFile file = PeakFile());

  double flops_per_second() const { return all_; }
  // No step is faster than the peak: one that was shows that it had been measured too low.
  void reached(double flops_per_second);
  // Keeps what was found, by one rank of each host. Never fails.
  void keep() const;

 private:
  PeakFile file_;
  std::string key_;
  double own_ = 0, all_ = 0;
  bool keeps_;
};

// What a GPU's maker says of its matrix products.
struct PublishedPeak {
  double flops_per_second = 0;  // dense
  std::string source;
};
// Of the device with this description, in `type`; none where this page does not know it, and for
// CPUs, whose clocks say little.
std::optional<PublishedPeak> published_peak(const std::string& description, DType type);

}  // namespace weft
