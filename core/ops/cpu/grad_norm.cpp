// The norm of the gradients: sums of squares by block, and the clip factor made from them.
#include <algorithm>
#include <cmath>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/team.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {

void CpuOps::sum_squares(const Tensor& x, const Tensor& partials, Stream& stream) {
  check_sum_squares(x, partials);
  detail::with_float(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), n = x.elements(), from = x.data<T>(),
             to = partials.data<double>()] {
      const int64_t blocks = (n + kNormBlock - 1) / kNormBlock;
      parallel_for(threads, blocks, 4, [=](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
          const T* block = from + b * kNormBlock;
          const int64_t count = std::min(kNormBlock, n - b * kNormBlock);
          to[b] = kernels::HostTeam().sum<double>(count, [=](int64_t i) WEFT_LANE {
            const auto value = static_cast<double>(block[i]);
            return value * value;
          });
        }
      });
    });
  });
}

void CpuOps::clip_factor(const Tensor& partials, double max_norm, const Tensor& norm,
                         const Tensor& clip, Stream& stream) {
  check_clip_factor(partials, norm, clip);
  cpu_stream(stream).run([n = partials.elements(), from = partials.data<double>(), max_norm,
                          total = norm.data<double>(), factor = clip.data<float>()] {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += from[i];
    *total = std::sqrt(sum);
    const double limit = max_norm / (*total + 1e-6);
    *factor = max_norm == 0 || limit >= 1 ? 1.0f : static_cast<float>(limit);
  });
}

}  // namespace weft
