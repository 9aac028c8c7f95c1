// The elementwise parts of a Newton-Schulz iteration.
#include "core/kernels/orthogonal.h"

#include "core/device/cpu/parallel_for.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {

using kernels::HostTeam;

void CpuOps::run(const op::Normalize& args, Stream& stream) {
  detail::with_float(args.y.dtype(), [&](auto zero) {
    using S = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), n = args.x.elements(), from = args.x.data<float>(),
             parts = args.partials.data<double>(), count = args.partials.elements(), eps = args.eps,
             to = args.y.data<S>()] {
      double sum = 0;
      for (int64_t i = 0; i < count; ++i) sum += parts[i];
      const float factor = kernels::normalizing_factor(sum, eps);
      parallel_for(threads, n, 16384, [=](int64_t begin, int64_t end) {
        HostTeam().for_each(end - begin,
                            [=, x = from + begin, y = to + begin](int64_t i)
                                WEFT_LANE { y[i] = kernels::store<S>(x[i] * factor); });
      });
    });
  });
}

void CpuOps::run(const op::Polynomial& args, Stream& stream) {
  detail::with_float(args.x.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using A = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), n = args.x.shape().back(), x = args.x.data<S>(),
             square = args.square.data<A>(), y = args.y.data<S>(), a = static_cast<A>(args.a),
             b = static_cast<A>(args.b), c = static_cast<A>(args.c)] {
      parallel_for(threads, n, std::max<int64_t>(1, 16384 / n), [=](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
          HostTeam().for_each(n, [=, at = row * n](int64_t j) WEFT_LANE {
            const A v = kernels::polynomial_element(a, b, c, j == row, A{kernels::load(x[at + j])},
                                                    square[at + j]);
            y[at + j] = kernels::store<S>(v);
          });
        }
      });
    });
  });
}

}  // namespace weft
