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

  Logits(const Tensor& logits, const Tensor& ids, int64_t vocab_begin, int64_t valid_columns)
      : rows(logits.shape().rows()),
        width(logits.shape().back()),
        valid(valid_columns),
        first(vocab_begin),
        data(logits.data<S>()),
        targets(ids.data<int32_t>()) {}

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

void CpuOps::softmax_stats(const Tensor& logits, const Tensor& targets, int64_t vocab_begin,
                           int64_t valid, const Tensor& row_max, const Tensor& row_sum,
                           const Tensor& target_logit, Stream& stream) {
  check_softmax_stats(logits, targets, valid, row_max, row_sum, target_logit);
  detail::with_float(logits.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), x = Logits<S>(logits, targets, vocab_begin, valid),
             top = row_max.data<T>(), sum = row_sum.data<T>(), hit = target_logit.data<T>()] {
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

void CpuOps::rescale_sums(const Tensor& sum, const Tensor& from, const Tensor& to, Stream& stream) {
  check_rescale_sums(sum, from, to);
  detail::with_float(sum.dtype(), [&](auto zero) {
    using T = kernels::Arithmetic<decltype(zero)>;
    cpu_stream(stream).run(
        [rows = sum.elements(), s = sum.data<T>(), f = from.data<T>(), t = to.data<T>()] {
          for (int64_t r = 0; r < rows; ++r) s[r] *= std::exp(f[r] - t[r]);
        });
  });
}

void CpuOps::cross_entropy_loss(const Tensor& targets, const Tensor& row_max, const Tensor& row_sum,
                                const Tensor& target_logit, const Tensor& loss_sum,
                                Stream& stream) {
  check_cross_entropy_loss(targets, row_max, row_sum, target_logit, loss_sum);
  detail::with_float(row_max.dtype(), [&](auto zero) {
    using T = kernels::Arithmetic<decltype(zero)>;
    cpu_stream(stream).run([rows = targets.elements(), ids = targets.data<int32_t>(),
                            top = row_max.data<T>(), sum = row_sum.data<T>(),
                            hit = target_logit.data<T>(), loss = loss_sum.data<double>()] {
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

void CpuOps::cross_entropy_backward(const Tensor& logits, const Tensor& targets,
                                    int64_t vocab_begin, int64_t valid, const Tensor& row_max,
                                    const Tensor& row_sum, double scale, const Tensor& loss_scale,
                                    Stream& stream) {
  check_cross_entropy_backward(logits, targets, valid, row_max, row_sum, loss_scale);
  detail::with_float(logits.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), x = Logits<S>(logits, targets, vocab_begin, valid),
             top = row_max.data<T>(), sum = row_sum.data<T>(), scale,
             more = detail::optional_data<float>(loss_scale)] {
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
