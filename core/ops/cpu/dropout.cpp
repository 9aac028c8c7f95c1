// Dropout by regenerated masks.
#include "core/kernels/dropout.h"

#include "core/device/cpu/parallel_for.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {

void CpuOps::run(const op::Dropout& args, Stream& stream) {
  detail::with_float(args.x.dtype(), [&](auto zero) {
    using S = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), p = args.p, key = args.key, map = args.rows,
             first_column = args.first_column, global_columns = args.global_columns,
             rows = args.x.shape().rows(), n = args.x.shape().back(), from = args.x.data<S>(),
             to = args.y.data<S>()] {
      const uint32_t threshold = kernels::dropout_threshold(p);
      const auto factor = static_cast<kernels::Arithmetic<S>>(1.0 / (1.0 - p));
      const int64_t grain = std::max<int64_t>(1, 2048 / n);
      parallel_for(threads, rows, grain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const int64_t first = map.at(r) * global_columns + first_column;
          kernels::dropout_run(kernels::HostTeam(), key, static_cast<uint64_t>(first), n, threshold,
                               factor, from + r * n, to + r * n);
        }
      });
    });
  });
}

}  // namespace weft
