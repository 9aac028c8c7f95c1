// The gradient of a bias: column sums.
#include "core/ops/cpu/column_sums.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {

void CpuOps::bias_backward(const Tensor& dy, const Tensor& db, Stream& stream) {
  check_bias_backward(dy, db);
  detail::with_float(dy.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), scratch = &scratch_, rows = dy.shape().rows(),
             n = dy.shape().back(), from = dy.data<S>(), to = db.data<T>()] {
      const auto add = [=](int64_t begin, int64_t end, T* partial) {
        for (int64_t r = begin; r < end; ++r) {
          const S* row = from + r * n;
          kernels::HostTeam().for_each(
              n, [=](int64_t i) WEFT_LANE { partial[i] += kernels::load(row[i]); });
        }
      };
      detail::column_sums<T>(threads, rows, n, *scratch, add,
                             [=](int64_t c, T total) { to[c] += total; });
    });
  });
}

}  // namespace weft
