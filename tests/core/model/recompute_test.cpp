// What is computed again has the bits of what was kept.
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <string>

#include "core/ops/ops.h"
#include "tests/core/model/small_gpt.h"

namespace weft {
namespace {

GptConfig config() {
  GptConfig c;
  c.vocab_size = 13;
  c.context_length = 8;
  c.layers = 3;
  c.heads = 2;
  c.width = 10;  // rows are no multiple of an arena's alignment
  c.init_std = 0.3;
  c.dropout = 0.3;
  return c;
}

struct Case {
  Recompute recompute;
  bool dropout, defer_weights;
};

class RecomputeTest : public ::testing::TestWithParam<Case> {};

TEST_P(RecomputeTest, GradientsHaveTheSameBits) {
  GptConfig c = config();
  if (!GetParam().dropout) c.dropout = 0;
  SmallGpt kept(c, DType::f32), repeated(c, DType::f32);
  repeated.recompute = GetParam().recompute;
  const double loss = kept.forward_backward();
  EXPECT_EQ(repeated.forward_backward(GetParam().defer_weights), loss);
  for (size_t i = 0; i < kept.parameters.size(); ++i) {
    const Tensor a = kept.parameters[i].grad;
    const Tensor b = repeated.parameters[i].grad;
    EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.bytes()), 0) << kept.parameters[i].spec.name;
  }
  EXPECT_TRUE(repeated.saved.empty());
  EXPECT_EQ(repeated.saved.bytes_held(), 0u);
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const Recompute r : {Recompute::none, Recompute::selective, Recompute::full}) {
    for (const bool dropout : {false, true}) {
      for (const bool defer : {false, true}) all.push_back({r, dropout, defer});
    }
  }
  return all;
}

std::string name_of(const ::testing::TestParamInfo<Case>& test) {
  constexpr std::array kNames{"None", "Selective", "Full"};
  std::string name = kNames[static_cast<size_t>(test.param.recompute)];
  if (test.param.dropout) name += "Dropout";
  if (test.param.defer_weights) name += "Deferred";
  return name;
}

INSTANTIATE_TEST_SUITE_P(Gpt, RecomputeTest, ::testing::ValuesIn(cases()), &name_of);

// Calls of operations, by name.
class Calls final : public OpObserver {
 public:
  void before(const OpCall& call, Stream&) override { ++counts_[std::string(call.name)]; }
  void after(const OpCall&, Stream&) override {}
  int of(const std::string& op) const { return counts_.at(op); }

 private:
  std::map<std::string, int> counts_;
};

Calls calls_with(Recompute recompute) {
  SmallGpt gpt(config(), DType::f32);
  gpt.recompute = recompute;
  Calls calls;
  gpt.ops->observe(&calls);
  gpt.forward_backward();
  return calls;
}

TEST(Recompute, RepeatsWhatItDropsAndNoMore) {
  const Calls none = calls_with(Recompute::none);
  EXPECT_EQ(none.of("attention_forward"), 3);
  EXPECT_EQ(none.of("norm_forward"), 3 * 2 + 1);
  EXPECT_EQ(none.of("matmul"), 3 * 4 * 3 + 3);  // four weights a block, and the head
  const Calls selective = calls_with(Recompute::selective);
  EXPECT_EQ(selective.of("attention_forward"), 3 * 2);
  EXPECT_EQ(selective.of("norm_forward"), 3 * 2 * 2 + 1);
  EXPECT_EQ(selective.of("matmul"), none.of("matmul"));
  const Calls full = calls_with(Recompute::full);
  EXPECT_EQ(full.of("attention_forward"), 3 * 2);
  EXPECT_EQ(full.of("norm_forward"), 3 * 2 * 2 + 1);
  EXPECT_EQ(full.of("matmul"), none.of("matmul") + 3 * 3);  // not a block's last
}

}  // namespace
}  // namespace weft
