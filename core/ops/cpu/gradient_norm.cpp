// The norm of the gradients: sums of squares by block, and what follows from it: the clip factor,
// and whether there is an update.
#include <algorithm>
#include <cmath>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/storage.h"
#include "core/kernels/team.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {

void CpuOps::run(const op::SumSquares& args, Stream& stream) {
  for (const BlockSquares& t : args.tensors) {
    detail::with_float(t.x.dtype(), [&](auto zero) {
      using S = decltype(zero);
      CpuStream& cpu = cpu_stream(stream);
      cpu.run([threads = cpu.threads(), n = t.x.elements(), from = t.x.data<S>(),
               to = t.partials.data<double>()] {
        const int64_t blocks = (n + kNormBlock - 1) / kNormBlock;
        parallel_for(threads, blocks, 4, [=](int64_t begin, int64_t end) {
          for (int64_t b = begin; b < end; ++b) {
            const S* block = from + b * kNormBlock;
            const int64_t count = std::min(kNormBlock, n - b * kNormBlock);
            to[b] = kernels::HostTeam().sum<double>(count, [=](int64_t i) WEFT_LANE {
              const auto value = static_cast<double>(kernels::load(block[i]));
              return value * value;
            });
          }
        });
      });
    });
  }
}

void CpuOps::run(const op::ClipFactor& args, Stream& stream) {
  cpu_stream(stream).run([n = args.partials.elements(), from = args.partials.data<double>(),
                          max_norm = args.max_norm,
                          scale = detail::optional_data<float>(args.loss_scale),
                          total = args.norm.data<double>(), factor = args.clip.data<float>()] {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += from[i];
    const double scaled = scale == nullptr ? 1.0 : static_cast<double>(*scale);
    *total = std::sqrt(sum) / scaled;
    const double limit = max_norm / (*total + 1e-6);
    const double kept = max_norm == 0 || limit >= 1 ? 1.0 : limit;
    *factor = static_cast<float>(kept / scaled);
  });
}

void CpuOps::run(const op::DecideUpdate& args, Stream& stream) {
  using Counter = op::DecideUpdate;
  cpu_stream(stream).run([norm = args.norm.data<double>(), counters = args.counters.data<int64_t>(),
                          scale = detail::optional_data<float>(args.loss_scale),
                          interval = args.growth_interval, growth = args.growth,
                          backoff = args.backoff, low = args.min_scale, high = args.max_scale] {
    const bool finite = std::isfinite(*norm);
    ++counters[finite ? Counter::made : Counter::skipped];
    counters[Counter::update] = finite ? counters[Counter::made] : 0;
    if (scale == nullptr) return;
    const auto now = static_cast<double>(*scale);
    if (!finite) {
      counters[Counter::good] = 0;
      *scale = static_cast<float>(std::max(now * backoff, low));
    } else if (++counters[Counter::good] >= interval) {
      counters[Counter::good] = 0;
      *scale = static_cast<float>(std::min(now * growth, high));
    }
  });
}

}  // namespace weft
