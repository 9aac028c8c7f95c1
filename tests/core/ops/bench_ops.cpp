// Times the benchmark rows of the case table: bench_ops [THREADS] [NAME_PART] [REPEATS]
//
// Prints per row the best time of forward and backward over the repeats, and what it means: GFLOP/s
// for arithmetic, GB/s of memory traffic otherwise, by the costs of the operations in it. For
// matrix products the same product by a bare dnnl_sgemm, without epilogue, alternates with ours.
#include <dnnl.h>
#include <fmt/core.h>
#include <omp.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <utility>

#include "core/backends/backends.h"
#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

// With one thread the processor time of that thread, which other programs disturb less than the
// time on the wall; with several the time on the wall.
template <typename F>
double seconds(bool alone, const F& f) {
  const auto now = [alone] {
    timespec t{};
    clock_gettime(alone ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double begin = now();
  f();
  return now() - begin;
}

std::string rate(const Cost& cost, double time) {
  return cost.flops > 0
             ? fmt::format("{:8.3f} ms {:7.1f} GFLOP/s", 1e3 * time, 1e-9 * cost.flops / time)
             : fmt::format("{:8.3f} ms {:7.1f} GB/s   ", 1e3 * time, 1e-9 * cost.bytes / time);
}

// The costs of all operations that are run while it observes.
class CostSum final : public OpObserver {
 public:
  void before(const OpCall& call, Stream&) override {
    sum_.flops += call.cost.flops;
    sum_.bytes += call.cost.bytes;
  }
  void after(const OpCall&, Stream&) override {}
  Cost take() { return std::exchange(sum_, Cost()); }

 private:
  Cost sum_;
};

// As the library shares it out itself.
void bare_sgemm(const OpCase& c, const Run& run, int threads) {
  omp_set_num_threads(threads);
  const bool ta = c.name[7] == 'T';
  const bool tb = c.name[8] == 'T';
  const int64_t m = run("c").shape()[0];
  const int64_t n = run("c").shape()[1];
  const int64_t k = run("a").elements() / m;
  dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, run("a").data<float>(), ta ? m : k,
             run("b").data<float>(), tb ? k : n, 0, run("c").data<float>(), n);
}

void time_case(const OpCase& c, Ops& ops, Device& device, Stream& stream, int threads,
               int repeats) {
  const bool alone = threads == 1;
  const bool gradients = static_cast<bool>(c.backward);
  Run run = make_run(c, ops, device, stream, DType::f32, make_inputs(c, 1), gradients);
  const bool product = c.name.starts_with("matmul");
  CostSum costs;
  ops.observe(&costs);
  c.forward(run);
  const Cost forward_cost = costs.take();
  if (gradients) c.backward(run);
  const Cost backward_cost = costs.take();
  ops.observe(nullptr);
  double forward = 1e9, backward = 1e9, bare = 1e9;
  for (int i = 0; i < repeats; ++i) {
    forward = std::min(forward, seconds(alone, [&] { c.forward(run); }));
    if (gradients) backward = std::min(backward, seconds(alone, [&] { c.backward(run); }));
    if (product) bare = std::min(bare, seconds(alone, [&] { bare_sgemm(c, run, threads); }));
  }
  fmt::print("{:<52} {}", c.name, rate(forward_cost, forward));
  if (gradients) fmt::print("   backward {}", rate(backward_cost, backward));
  if (product) fmt::print("   bare dnnl_sgemm {}", rate(forward_cost, bare));
  fmt::print("\n");
}

int run_benchmark(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : omp_get_max_threads();
  const std::string part = argc > 2 ? argv[2] : "";
  const int repeats = argc > 3 ? std::atoi(argv[3]) : 10;
  const auto device = make_device({.kind = DeviceKind::cpu, .threads = threads});
  const auto stream = device->make_stream(StreamKind::compute);
  const auto ops = make_ops(*device);
  fmt::print("{}, best of {}\n", device->description(), repeats);
  for (const OpCase& c : all_cases()) {
    if (c.perf && c.name.find(part) != std::string::npos) {
      time_case(c, *ops, *device, *stream, threads, repeats);
    }
  }
  return 0;
}

}  // namespace
}  // namespace weft::cases

int main(int argc, char** argv) { return weft::cases::run_benchmark(argc, argv); }
