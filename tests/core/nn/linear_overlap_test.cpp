// The collectives of a linear layer's backward run beside its matrix products: each is held up
// until the product beside it is done. Were one ordered before that product, nobody would let it
// go.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <vector>

#include "core/backends/backends.h"
#include "core/device/cpu/cpu_device.h"
#include "core/nn/linear.h"
#include "core/nn/saved.h"
#include "core/ops/ops.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/comm/trace.h"

namespace weft {
namespace {

// Counts the matrix products that are done, and lets other threads wait for one.
class DoneProducts final : public OpObserver {
 public:
  void before(const OpCall&, Stream&) override {}
  void after(const OpCall& call, Stream&) override {  // CPU compute streams work inside the call
    if (call.family != OpFamily::matmul) return;
    const std::lock_guard lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  // False if product number `number` (from 1) is not done in time.
  bool wait_for(int number, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return count_ >= number; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

// Enqueues before each collective a task that waits for a product.
class HeldUp final : public CommObserver {
 public:
  HeldUp(DoneProducts& products, std::chrono::milliseconds patience)
      : products_(products), patience_(patience) {}
  void before(const CommCall& call, Stream* stream) override {
    const int product = call.op == CommOp::all_gather ? 1 : 2;
    cpu_stream(*stream).run([this, product] {
      if (!products_.wait_for(product, patience_)) ++waited_in_vain_;
    });
  }
  void after(const CommCall&, Stream*) override {}
  int waited_in_vain() const { return waited_in_vain_; }

 private:
  DoneProducts& products_;
  std::chrono::milliseconds patience_;
  std::atomic<int> waited_in_vain_{0};
};

struct Gradients {
  std::vector<float> dx, dweight, dbias;
  bool operator==(const Gradients&) const = default;
};

// One rank's column-cut layer of 6 x 4 weights on 8 rows, and its memory.
class Layer {
 public:
  static constexpr int64_t kRows = 8, kIn = 4, kOut = 6;

  Layer(Device& device, Stream& stream, Communicator& group)
      : memory_("memory", device, 1 << 16),
        deferred_("deferred", device, 0),
        work_("work", device, 1 << 16),
        saved_(memory_, deferred_),
        set_({.tp = group.size()}, {.tp = group.rank()}),
        weight_(*set_.add({.name = "l.weight",
                           .shape = {kOut, kIn},
                           .init = {.kind = Init::Kind::normal, .stddev = 1},
                           .place = {.splits = {{Axis::tp, 0, {}, 1}}}})),
        bias_(*set_.add(
            {.name = "l.bias", .shape = {kOut}, .place = {.splits = {{Axis::tp, 0, {}, 1}}}})),
        linear_(set_, "l"),
        group_(group),
        x_(memory_.allocate({kRows / group.size(), kIn}, DType::f32)),
        dx_(memory_.allocate(x_.shape(), DType::f32)),
        dy_(memory_.allocate({kRows, kOut / group.size()}, DType::f32)) {
    set_.allocate(memory_, &memory_, DType::f32);
    set_.initialize(3, device, stream);
    std::iota(x_.data<float>(), x_.data<float>() + x_.elements(), 0.1f);
    std::iota(dy_.data<float>(), dy_.data<float>() + dy_.elements(), -0.7f);
  }

  Gradients backward(Ops& ops, Stream& stream, SideStream* side) {
    Context ctx{.ops = ops,
                .stream = stream,
                .work = work_,
                .samples = 1,
                .tokens = TokenShare::whole(kRows),
                .axes = {}};
    ctx.axes[Axis::tp] = {&group_, side};
    linear_.backward(x_, dy_, dx_, saved_, ctx);
    return {values(dx_), values(weight_.grad), values(bias_.grad)};
  }

 private:
  static std::vector<float> values(const Tensor& t) {
    return {t.data<float>(), t.data<float>() + t.elements()};
  }

  Arena memory_, deferred_, work_;
  Saved saved_;
  ParameterSet set_;
  Parameter& weight_;
  Parameter& bias_;
  Linear linear_;
  Communicator& group_;
  Tensor x_, dx_, dy_;
};

struct Result {
  Gradients gradients;
  int waited_in_vain;
};

// The backward pass of this rank, with collectives held up for at most `patience`.
Result run(Bootstrap& bootstrap, bool with_side, std::chrono::milliseconds patience) {
  const auto device = make_device({.threads = 1});
  const auto compute = device->make_stream(StreamKind::compute);
  const auto communication = device->make_stream(StreamKind::communication);
  SideStream side(*device, *communication);
  const auto ops = make_ops(*device);
  DoneProducts products;
  ops->observe(&products);
  HeldUp held_up(products, patience);
  const auto group = make_traced(bootstrap.split(0, bootstrap.rank(), "tp"), held_up);
  Layer layer(*device, *compute, *group);
  Result result;
  result.gradients = layer.backward(*ops, *compute, with_side ? &side : nullptr);
  result.waited_in_vain = held_up.waited_in_vain();
  return result;
}

TEST(LinearOverlap, EachCollectiveRunsBesideAProduct) {
  run_local_ranks(2, [](Bootstrap& bootstrap) {
    // In one stream dx must be summed before the weights' product can begin.
    const Result one_stream = run(bootstrap, false, std::chrono::milliseconds(20));
    EXPECT_EQ(one_stream.waited_in_vain, 1);
    const Result two_streams = run(bootstrap, true, std::chrono::minutes(1));
    EXPECT_EQ(two_streams.waited_in_vain, 0);
    EXPECT_EQ(two_streams.gradients, one_stream.gradients);
  });
}

}  // namespace
}  // namespace weft
