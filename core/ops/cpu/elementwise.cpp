// Elementwise operations: elements over threads.
#include "core/device/cpu/parallel_for.h"
#include "core/kernels/storage.h"
#include "core/kernels/team.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {
namespace {

using kernels::HostTeam;
using kernels::load;
using kernels::store;
constexpr int64_t kGrain = 16384;  // elements; below this a thread costs more than it saves

}  // namespace

void CpuOps::run(const op::Add& args, Stream& stream) {
  detail::with_float(args.a.dtype(), [&](auto zero) {
    using S = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), n = args.a.elements(), p = args.a.data<S>(),
             q = args.b.data<S>(), to = args.y.data<S>()] {
      parallel_for(threads, n, kGrain, [=](int64_t begin, int64_t end) {
        HostTeam().for_each(end - begin, [=](int64_t i) WEFT_LANE {
          to[begin + i] = store<S>(load(p[begin + i]) + load(q[begin + i]));
        });
      });
    });
  });
}

void CpuOps::run(const op::Fill& args, Stream& stream) {
  CpuStream& cpu = cpu_stream(stream);
  detail::with_any(args.x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    cpu.run([threads = cpu.threads(), n = args.x.elements(), to = static_cast<T*>(args.x.raw()),
             stored = store<T>(args.value)] {
      parallel_for(threads, n, kGrain,
                   [=](int64_t begin, int64_t end) { std::fill(to + begin, to + end, stored); });
    });
  });
}

}  // namespace weft
