// Cross-entropy: row statistics, the summed loss, and the gradient in place.
#include <cmath>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/softmax.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {
namespace {

using kernels::HostTeam;

// The logits of one call: `rows` of `width` columns, of which [0, valid) are ids first, first
// + 1...
template <typename S>
struct Logits {
  int64_t rows, width, valid, first;
  S* data;
  const int32_t* targets;

  // Of op::SoftmaxStats or op::CrossEntropyBackward.
  template <typename Op>
  explicit Logits(const Op& op)
      : rows(op.logits.shape().rows()),
        width(op.logits.shape().back()),
        valid(op.valid),
        first(op.vocab_begin),
        data(op.logits.template data<S>()),
        targets(op.targets.template data<int32_t>()) {}

  S* row(int64_t r) const { return data + r * width; }
  // The column of the row's target; -1 if it is ignored or on another shard.
  int64_t column(int64_t r) const {
    const int64_t c = targets[r] - first;
    return targets[r] >= 0 && c >= 0 && c < valid ? c : -1;
  }
};

int64_t row_grain(int64_t width) {
  return std::max<int64_t>(1, 4096 / std::max<int64_t>(1, width));
}

}  // namespace

void CpuOps::run(const op::SoftmaxStats& args, Stream& stream) {
  detail::with_float(args.logits.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), x = Logits<S>(args), top = args.row_max.data<T>(),
             sum = args.row_sum.data<T>(), hit = args.target_logit.data<T>()] {
      parallel_for(threads, x.rows, row_grain(x.width), [=](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          kernels::softmax_stats_row(HostTeam(), x.valid, x.row(r), top + r, sum + r);
          const int64_t c = x.column(r);
          hit[r] = c >= 0 ? kernels::load(x.row(r)[c]) : T(0);
        }
      });
    });
  });
}

void CpuOps::run(const op::RescaleSums& args, Stream& stream) {
  detail::with_float(args.sum.dtype(), [&](auto zero) {
    using T = kernels::Arithmetic<decltype(zero)>;
    cpu_stream(stream).run([rows = args.sum.elements(), s = args.sum.data<T>(),
                            f = args.from.data<T>(), t = args.to.data<T>()] {
      for (int64_t r = 0; r < rows; ++r) s[r] *= std::exp(f[r] - t[r]);
    });
  });
}

void CpuOps::run(const op::CrossEntropyLoss& args, Stream& stream) {
  detail::with_float(args.row_max.dtype(), [&](auto zero) {
    using T = kernels::Arithmetic<decltype(zero)>;
    cpu_stream(stream).run([rows = args.targets.elements(), ids = args.targets.data<int32_t>(),
                            top = args.row_max.data<T>(), sum = args.row_sum.data<T>(),
                            hit = args.target_logit.data<T>(),
                            loss = args.loss_sum.data<double>()] {
      double total = 0;
      for (int64_t r = 0; r < rows; ++r) {
        if (ids[r] < 0) continue;
        total += std::log(static_cast<double>(sum[r])) + static_cast<double>(top[r]) -
                 static_cast<double>(hit[r]);
      }
      *loss += total;
    });
  });
}

void CpuOps::run(const op::CrossEntropyBackward& args, Stream& stream) {
  detail::with_float(args.logits.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), x = Logits<S>(args), top = args.row_max.data<T>(),
             sum = args.row_sum.data<T>(), scale = args.scale,
             more = detail::optional_data<float>(args.loss_scale)] {
      const double by = more == nullptr ? scale : scale * static_cast<double>(*more);
      parallel_for(threads, x.rows, row_grain(x.width), [=](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          if (x.targets[r] < 0) {
            std::fill_n(x.row(r), x.width, kernels::store<S>(T(0)));
            continue;
          }
          const T factor = static_cast<T>(by / static_cast<double>(sum[r]));
          kernels::softmax_gradient_row(HostTeam(), x.valid, x.width, top[r], factor, x.column(r),
                                        static_cast<T>(by), x.row(r));
        }
      });
    });
  });
}

}  // namespace weft
