#include "launch/train/peak.h"

#include <algorithm>
#include <chrono>

#include "core/tensor/arena.h"

namespace weft {

double measure_gemm_peak(Device& device, Stream& stream, Ops& ops) {
  constexpr int64_t kSize = 1024;
  constexpr int kRepeats = 8;
  using Clock = std::chrono::steady_clock;
  Arena arena("peak", device, 3 * kSize * kSize * sizeof(float));
  const Shape square{kSize, kSize};
  MatmulArgs args;
  args.a = arena.allocate(square, DType::f32);
  args.b = arena.allocate(square, DType::f32);
  args.c = arena.allocate(square, DType::f32);
  args.transpose_b = true;
  ops.fill(args.a, 0.5, stream);
  ops.fill(args.b, 0.25, stream);
  double best = 1e30;
  for (int i = 0; i <= kRepeats; ++i) {
    const Clock::time_point begin = Clock::now();
    ops.matmul(args, stream);
    stream.synchronize();
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    if (i > 0) best = std::min(best, seconds);  // the first warms up
  }
  return 2.0 * kSize * kSize * kSize / best;
}

}  // namespace weft
