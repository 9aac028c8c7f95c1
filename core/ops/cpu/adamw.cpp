// AdamW: one pass over weight, gradient and both moments.
#include "core/kernels/adamw.h"

#include <cmath>

#include "core/device/cpu/parallel_for.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {

void CpuOps::adamw(const AdamWArgs& args, Stream& stream) {
  check_adamw(args);
  const auto step = static_cast<double>(args.step);
  kernels::AdamWStep s{};
  s.beta1 = static_cast<float>(args.beta1);
  s.beta2 = static_cast<float>(args.beta2);
  s.rate = static_cast<float>(args.lr / (1.0 - std::pow(args.beta1, step)));
  s.root_correction = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(args.beta2, step)));
  s.eps = static_cast<float>(args.eps);
  s.keep = static_cast<float>(1.0 - args.lr * args.weight_decay);
  CpuStream& cpu = cpu_stream(stream);
  cpu.run([threads = cpu.threads(), n = args.weight.elements(), s,
           scale = args.grad_scale.data<float>(), w = args.weight.data<float>(),
           g = args.grad.data<float>(), m = args.exp_avg.data<float>(),
           v = args.exp_avg_sq.data<float>()] {
    kernels::AdamWStep now = s;
    now.grad_scale = *scale;
    parallel_for(threads, n, 16384, [=](int64_t begin, int64_t end) {
      kernels::adamw_run(kernels::HostTeam(), end - begin, now, w + begin, g + begin, m + begin,
                         v + begin);
    });
  });
}

}  // namespace weft
