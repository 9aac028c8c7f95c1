// LayerNorm on the CPU: rows over threads, lanes over columns.
#include "core/kernels/norm.h"

#include "core/ops/cpu/column_sums.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {
namespace {

using kernels::HostTeam;
constexpr int64_t kGrainElements = 8192;  // below this a thread costs more than it saves

int64_t row_grain(int64_t columns) { return std::max<int64_t>(1, kGrainElements / columns); }

}  // namespace

void CpuOps::run(const op::NormForward& args, Stream& stream) {
  detail::with_float(args.x.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), rows = args.x.shape().rows(), n = args.x.shape().back(),
             x = args.x.data<S>(), residual = detail::optional_data<S>(args.residual),
             sum = detail::optional_data<S>(args.sum), weight = args.weight.data<S>(),
             bias = detail::optional_data<S>(args.bias), y = args.y.data<S>(),
             mean = args.mean.data<T>(), rstd = args.rstd.data<T>(),
             eps = static_cast<T>(args.eps)] {
      parallel_for(threads, rows, row_grain(n), [=](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const int64_t at = r * n;
          kernels::norm_forward_row(HostTeam(), n, x + at,
                                    residual == nullptr ? nullptr : residual + at,
                                    residual == nullptr ? nullptr : sum + at, weight, bias, eps,
                                    y + at, mean + r, rstd + r);
        }
      });
    });
  });
}

void CpuOps::run(const op::NormBackward& args, Stream& stream) {
  detail::with_float(args.x.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), scratch = &scratch_, rows = args.x.shape().rows(),
             n = args.x.shape().back(), dy = args.dy.data<S>(), x = args.x.data<S>(),
             weight = args.weight.data<S>(), mean = args.mean.data<T>(), rstd = args.rstd.data<T>(),
             dx = args.dx.data<S>(), dweight = args.dweight.data<T>(),
             dbias = detail::optional_data<T>(args.dbias)] {
      const int64_t width = dbias == nullptr ? n : 2 * n;
      const auto add = [=](int64_t begin, int64_t end, T* partial) {
        for (int64_t r = begin; r < end; ++r) {
          const int64_t at = r * n;
          kernels::norm_backward_row(HostTeam(), n, dy + at, x + at, weight, mean[r], rstd[r],
                                     dx + at, partial, dbias == nullptr ? nullptr : partial + n);
        }
      };
      const auto finish = [=](int64_t c, T total) { (c < n ? dweight[c] : dbias[c - n]) += total; };
      T* partials = scratch->get<T>(detail::partial_sums(rows, width));
      detail::column_sums<T>(threads, rows, width, partials, add, finish);
    });
  });
}

}  // namespace weft
