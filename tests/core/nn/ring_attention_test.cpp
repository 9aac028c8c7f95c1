// In which order the ring is driven: the next block travels before the present one is computed.
// What it computes is tests/launch/step/layouts_test.cpp's to hold.
#include "core/nn/ring_attention.h"

#include <gtest/gtest.h>

#include "core/backends/backends.h"
#include "core/ops/ops.h"

namespace weft {
namespace {

using Calls = std::vector<std::string>;

// Rank 1 of 3, without peers: lists what is asked of it.
class ListedRing final : public Communicator {
 public:
  explicit ListedRing(Calls& calls) : calls_(calls) {}
  int rank() const override { return 1; }
  int size() const override { return 3; }
  const std::string& axis() const override { return axis_; }
  void all_reduce(const Tensor&, ReduceOp, Stream&) override { calls_.push_back("all_reduce"); }
  void reduce_scatter(const Tensor&, const Tensor&, Stream&) override {
    calls_.push_back("reduce_scatter");
  }
  void all_gather(const Tensor&, const Tensor&, Stream&) override {
    calls_.push_back("all_gather");
  }
  void broadcast(const Tensor&, int, Stream&) override { calls_.push_back("broadcast"); }
  void exchange(std::span<const P2P> messages, Stream&) override {
    calls_.push_back("exchange " + std::to_string(messages.size()));
    for (const P2P& m : messages) {
      EXPECT_EQ(m.peer, m.kind == P2P::Kind::send ? 2 : 0);
      EXPECT_EQ(m.tensor.shape(), (Shape{2, 8, 2 * 3 * 5}));
    }
  }
  void barrier() override { calls_.push_back("barrier"); }

 private:
  Calls& calls_;
  std::string axis_ = "cp";
};

class ListedOps final : public OpObserver {
 public:
  explicit ListedOps(Calls& calls) : calls_(calls) {}
  void before(const OpCall& call, Stream&) override { calls_.emplace_back(call.name); }
  void after(const OpCall&, Stream&) override {}

 private:
  Calls& calls_;
};

PerAxis<AxisGroup> only(Axis axis, const AxisGroup& group) {
  PerAxis<AxisGroup> axes;
  axes[axis] = group;
  return axes;
}

struct Fixture {
  Calls calls;
  ListedRing ring{calls};
  ListedOps list{calls};
  std::unique_ptr<Device> device = make_device({.threads = 1});
  std::unique_ptr<Stream> stream = device->make_stream(StreamKind::compute);
  std::unique_ptr<WorkingMemory> needs = make_working_memory({.threads = 1});
  std::unique_ptr<Ops> ops = make_counting_ops(*needs);
  Arena work{"work"};
  Context ctx{.ops = *ops,
              .stream = *stream,
              .work = work,
              .samples = 2,
              .tokens = TokenShare::zigzag(24, 1, 3),
              .axes = only(Axis::cp, {&ring})};
  AttentionSpec args{.heads = 3, .kv_heads = 3, .head_dim = 5, .queries = ctx.tokens};
  Tensor qkv = work.allocate({2, 8, 3 * 3 * 5}, DType::f32);
  Tensor out = work.allocate({2, 8, 3 * 5}, DType::f32);
  Tensor lse = work.allocate({2, 3, 8}, DType::f32);

  Fixture() { ops->observe(&list); }
};

TEST(RingAttention, SendsTheNextBlockBeforeItComputesThisOne) {
  Fixture f;
  const size_t used = f.work.used();
  ring_attention_forward(f.args, f.qkv, f.out, f.lse, f.ctx);
  EXPECT_EQ(f.calls, (Calls{"copy_last_columns", "exchange 2", "attention_forward", "exchange 2",
                            "attention_forward", "attention_forward"}));
  EXPECT_EQ(f.work.used(), used);
}

TEST(RingAttention, BringsGradientsHomeOneStepBehindTheirBlock) {
  Fixture f;
  ring_attention_backward(f.args, f.out, f.qkv, f.out, f.lse, f.qkv, f.ctx);
  EXPECT_EQ(f.calls, (Calls{"copy_last_columns", "exchange 2", "attention_backward", "exchange 4",
                            "attention_backward", "add", "exchange 2", "attention_backward", "add",
                            "exchange 2", "copy_last_columns"}));
}

TEST(RingAttention, IsOneCallWithoutAGroup) {
  Fixture f;
  f.ctx.axes[Axis::cp].group = nullptr;
  ring_attention_forward(f.args, f.qkv, f.out, f.lse, f.ctx);
  ring_attention_backward(f.args, f.out, f.qkv, f.out, f.lse, f.qkv, f.ctx);
  EXPECT_EQ(f.calls, (Calls{"attention_forward", "attention_backward"}));
}

TEST(TokenShare, ZigzagSharesEveryTokenAndEveryPairEvenly) {
  constexpr int64_t kLength = 48;
  for (const int64_t ranks : {1, 2, 3, 4}) {
    std::vector<int> owners(kLength, 0);
    for (int64_t r = 0; r < ranks; ++r) {
      const TokenShare mine = TokenShare::zigzag(kLength, r, ranks);
      EXPECT_EQ(mine.count, kLength / ranks);
      for (int64_t i = 0; i < mine.count; ++i) ++owners[static_cast<size_t>(mine.at(i))];
      for (int64_t other = 0; other < ranks; ++other) {
        if (other == r) continue;
        const TokenShare theirs = TokenShare::zigzag(kLength, other, ranks);
        int64_t pairs = 0;
        for (int64_t i = 0; i < mine.count; ++i) {
          for (int64_t j = 0; j < theirs.count; ++j) pairs += theirs.at(j) <= mine.at(i);
        }
        EXPECT_EQ(pairs, mine.count * theirs.count / 2) << r << " of " << ranks;
      }
    }
    EXPECT_EQ(owners, std::vector<int>(kLength, 1)) << ranks;
  }
}

}  // namespace
}  // namespace weft
