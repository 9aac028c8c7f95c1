#include "launch/step/bf16_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <vector>

#include "core/backends/backends.h"
#include "core/base/error.h"
#include "core/checkpoint/checkpoint.h"
#include "core/ops/cpu/dnnl_products.h"
#include "core/ops/ops.h"
#include "core/tensor/arena.h"
#include "launch/step/cpu_threads.h"
#include "launch/step/require_memory.h"
#include "launch/step/run_state.h"

namespace weft {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr double kSeconds = 1.0;    // for all of it
constexpr double kWorthIt = 0.9;    // of the time
constexpr int64_t kMostRows = 512;  // tokens; more of them change no rate
constexpr int64_t kMostColumns = 8192;

// A layer's weight is [out, in].
struct Weight {
  int64_t out, in;
};

std::vector<Weight> weights_of(const RunConfig& config) {
  const GptConfig& m = config.model;
  const int64_t tp = config.mesh.tp;
  const int64_t vocabulary = std::min(kMostColumns, m.vocab_size.value_or(kMostColumns) / tp + 1);
  return {{m.mlp() / tp, m.width},
          {m.width, m.mlp() / tp},
          {3 * m.width / tp, m.width},
          {m.width, m.width / tp},
          {vocabulary, m.width}};
}

int64_t rows_of(const RunConfig& config, int ranks) {
  const int64_t samples = config.micro_batch_size(config.mesh.data_ranks(ranks));
  return std::clamp<int64_t>(samples * config.sequence_length() / config.mesh.cp, 1, kMostRows);
}

// One way to multiply, with a device of its own.
class Contender {
 public:
  Contender(Bf16Products products, int threads)
      : device_(make_device({.threads = threads, .bf16_products = products})),
        stream_(device_->make_stream(StreamKind::compute)),
        ops_(make_ops(*device_)) {}

  // The products of a layer's forward, of its input's gradient and of its weight's.
  void prepare(const Weight& w, int64_t rows) {
    const Shape x{rows, w.in}, y{rows, w.out}, weight{w.out, w.in};
    size_t bytes = Arena::taken(w.out * w.in, DType::f32);
    for (const Shape& shape : {x, y, weight}) bytes += Arena::taken(shape.elements(), DType::bf16);
    arena_.emplace("bf16 products", *device_, bytes);
    forward_ = {};
    forward_.a = arena_->allocate(x, DType::bf16);
    forward_.b = arena_->allocate(weight, DType::bf16);
    forward_.c = arena_->allocate(y, DType::bf16);
    forward_.transpose_b = true;
    input_ = {};
    input_.a = forward_.c;
    input_.b = forward_.b;
    input_.c = forward_.a;
    weight_ = {};
    weight_.a = forward_.c;
    weight_.b = forward_.a;
    weight_.c = arena_->allocate(weight, DType::f32);
    weight_.transpose_a = true;
  }

  double seconds() {
    const SteadyClock::time_point begin = SteadyClock::now();
    for (const op::Matmul* args : {&forward_, &input_, &weight_}) (*ops_)(*args, *stream_);
    stream_->synchronize();
    return std::chrono::duration<double>(SteadyClock::now() - begin).count();
  }

 private:
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Ops> ops_;
  std::optional<Arena> arena_;
  op::Matmul forward_, input_, weight_;
};

struct Times {
  double native = 0, converted = 0;
};

// In turns, so that what comes and goes meets both; of each the best.
Times race(const RunConfig& config, int threads, int ranks) {
  const SteadyClock::time_point begin = SteadyClock::now();
  Contender native(Bf16Products::native, threads);
  Contender converted(Bf16Products::converted, threads);
  Times total;
  for (const Weight& weight : weights_of(config)) {
    constexpr int kTurns = 4;  // the first warms up
    for (Contender* each : {&native, &converted}) each->prepare(weight, rows_of(config, ranks));
    Times best{1e30, 1e30};
    for (int turn = 0; turn < kTurns; ++turn) {
      const Times now{native.seconds(), converted.seconds()};
      if (turn == 0) continue;
      best = {std::min(best.native, now.native), std::min(best.converted, now.converted)};
    }
    total.native += best.native;
    total.converted += best.converted;
    if (std::chrono::duration<double>(SteadyClock::now() - begin).count() > kSeconds / 2) break;
  }
  return total;
}

// What a rank says of itself: "SERVED NATIVE CONVERTED".
std::string report(const RunConfig& config, int threads, Bootstrap& bootstrap, bool measure) {
  Times times;
  try {
    require_process_room(threads, bootstrap.ranks_in_process());
    if (!detail::DnnlProducts::serves(DType::bf16)) return "0 0 0";
    if (measure) times = race(config, threads, bootstrap.size());
  } catch (const Error&) {
    // Whatever keeps this rank from computing is said when it begins to.
  }
  return fmt::format("1 {} {}", times.native, times.converted);
}

// The value that `checkpoint` was computed with, as a configuration has it; empty where there is
// none to read.
std::string kept_in(const std::string& checkpoint) {
  if (checkpoint.empty()) return {};
  try {
    const RunConfig saved = attached_config(CheckpointReader::open(checkpoint));
    if (saved.compute_type() != DType::bf16) return {};
    switch (saved.cpu.bf16_products) {
      case Bf16Products::automatic:
        return "auto";
      case Bf16Products::native:
        return "native";
      case Bf16Products::converted:
        return "converted";
    }
  } catch (const Error&) {
    // A damaged checkpoint is reported by who reads it.
  }
  return {};
}

}  // namespace

std::string settle_bf16_products(RunConfig& config, const std::string& resumed,
                                 Bootstrap& bootstrap) {
  Bf16Products& products = config.cpu.bf16_products;
  if (config.device != DeviceKind::cpu || config.compute_type() != DType::bf16 ||
      products != Bf16Products::automatic) {
    return {};
  }
  const std::string kept = bootstrap.broadcast(bootstrap.rank() == 0 ? kept_in(resumed) : "", 0);
  if (kept == "auto") return {};  // of a version that decided by the instruction set alone
  const int threads = compute_threads(config.cpu, bootstrap);
  bool served = true;
  Times total;
  for (const std::string& text :
       bootstrap.all_gather(report(config, threads, bootstrap, kept.empty()))) {
    std::istringstream words(text);
    int each = 0;
    Times times;
    words >> each >> times.native >> times.converted;
    served = served && each != 0;
    total.native += times.native;
    total.converted += times.converted;
  }
  // Nearly as fast is no reason to ask more of the CPU that goes on with the run.
  const bool faster = total.native < kWorthIt * total.converted;
  const bool native = served && (kept.empty() ? faster : kept == "native");
  products = native ? Bf16Products::native : Bf16Products::converted;
  const std::string name = native ? "native" : "converted";
  if (!served) return fmt::format("products of bf16: {} (this CPU has no others)", name);
  if (!kept.empty()) return fmt::format("products of bf16: {}, as the run began", name);
  return fmt::format(
      "products of bf16: {} (measured at the run's shapes: native takes {:.2f} of "
      "the time of converted)",
      name, total.native / total.converted);
}

}  // namespace weft
