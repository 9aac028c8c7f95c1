// Dropout by regenerated masks.
#include "core/kernels/dropout.h"

#include "core/device/cpu/parallel_for.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {

void CpuOps::dropout(const DropoutArgs& args, const Tensor& x, const Tensor& y, Stream& stream) {
  check_dropout(args, x, y);
  detail::with_float(x.dtype(), [&](auto zero) {
    using S = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), args, rows = x.shape().rows(), n = x.shape().back(),
             from = x.data<S>(), to = y.data<S>()] {
      const uint32_t threshold = kernels::dropout_threshold(args.p);
      const auto factor = static_cast<kernels::Arithmetic<S>>(1.0 / (1.0 - args.p));
      const RowMap map = args.rows;
      const int64_t grain = std::max<int64_t>(1, 2048 / n);
      parallel_for(threads, rows, grain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const int64_t first = map.at(r) * args.global_columns + args.first_column;
          kernels::dropout_run(kernels::HostTeam(), args.key, static_cast<uint64_t>(first), n,
                               threshold, factor, from + r * n, to + r * n);
        }
      });
    });
  });
}

}  // namespace weft
