#include "launch/verify/verify.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "launch/step/random_tokens.h"
#include "tests/launch/small_runs.h"

namespace weft {
namespace {

constexpr int64_t kSteps = 2;

class Verify : public ::testing::TestWithParam<RunConfig (*)()> {};

TEST_P(Verify, EveryLayoutOfFourRanksTrainsLikeOne) {
  const RunConfig config = GetParam()();
  const std::vector<Layout> layouts = with_one_policy_each(legal_layouts(config, 4));
  EXPECT_GE(layouts.size(), 100u);
  size_t compared = 0;
  verify_layouts(config, layouts, {.steps = kSteps}, [&](const Comparison& c) {
    ++compared;
    EXPECT_TRUE(c.ok) << to_string(c.layout) << ": " << c.worst << " " << c.error << " > "
                      << c.bound;
  });
  EXPECT_EQ(compared, layouts.size());
}

INSTANTIATE_TEST_SUITE_P(Gpt, Verify, ::testing::Values(&odd_tied, &untied_without_bias),
                         [](const auto& test) {
                           return test.param == &odd_tied ? "OddTied" : "UntiedWithoutBias";
                         });

class VerifyOptimizer : public ::testing::TestWithParam<RunConfig (*)()> {};

TEST_P(VerifyOptimizer, EveryKindOfLayoutTrainsLikeOne) {
  const RunConfig config = GetParam()();
  const std::vector<Layout> legal = legal_layouts(config, 4);
  std::vector<Layout> layouts;
  for (size_t i = 0; i < legal.size(); i += 17) layouts.push_back(legal[i]);
  EXPECT_GE(layouts.size(), 20u);
  verify_layouts(config, layouts, {.steps = kSteps}, [](const Comparison& c) {
    EXPECT_TRUE(c.ok) << to_string(c.layout) << ": " << c.worst << " " << c.error << " > "
                      << c.bound;
  });
}

INSTANTIATE_TEST_SUITE_P(Gpt, VerifyOptimizer, ::testing::Values(&odd_tied_muon, &untied_sgd),
                         [](const auto& test) {
                           return test.param == &untied_sgd ? "Sgd" : "Muon";
                         });

class VerifyPrecision : public ::testing::TestWithParam<Precision> {};

TEST_P(VerifyPrecision, EveryKindOfLayoutTrainsLikeOne) {
  RunConfig config = odd_tied();
  config.precision = GetParam();
  const std::vector<Layout> layouts{{.dp = 2, .micro_batch_size = 2},
                                    {.dp = 2, .micro_batch_size = 4, .zero = 3},
                                    {.dp = 2, .tp = 2, .micro_batch_size = 2, .zero = 2},
                                    {.tp = 4, .micro_batch_size = 8},
                                    {.tp = 2, .micro_batch_size = 8, .cp = 2},
                                    {.micro_batch_size = 8, .cp = 4},
                                    {.tp = 2, .micro_batch_size = 2, .pp = 2},
                                    {.dp = 2,
                                     .micro_batch_size = 2,
                                     .zero = 1,
                                     .pp = 2,
                                     .schedule = ScheduleKind::zero_bubble_v}};
  verify_layouts(config, layouts, {.steps = kSteps}, [](const Comparison& c) {
    EXPECT_TRUE(c.ok) << to_string(c.layout) << ": " << c.worst << " " << c.error << " > "
                      << c.bound;
  });
}

INSTANTIATE_TEST_SUITE_P(Gpt, VerifyPrecision, ::testing::Values(Precision::bf16, Precision::f16),
                         [](const auto& test) { return std::string(enum_name(test.param)); });

// A layout, broken in one way at each of its collectives in turn.
struct Breaking {
  const char* name;
  RunConfig (*config)();
  FaultKind kind;
  Layout layout;
};

// The sums of Newton-Schulz iterations are many, and alike in every layer.
RunConfig one_layer_muon() {
  RunConfig run = odd_tied_muon();
  run.model.layers = 1;
  return run;
}

class Faults : public ::testing::TestWithParam<Breaking> {};

TEST_P(Faults, AreNoticedWhicheverCollectiveHasThem) {
  const Breaking& b = GetParam();
  const RunConfig config = b.config();
  const FillSample fill = random_tokens(*config.model.vocab_size);
  const LayoutTrace reference = run_layout(config, {1, 1, config.train.batch_size}, kSteps, fill);
  const std::vector<Fault> faults =
      faults_of(run_layout(config, b.layout, kSteps, fill).calls, b.kind);
  ASSERT_GT(faults.size(), 10u);
  for (const Fault& fault : faults) {
    try {
      const LayoutTrace broken = run_layout(config, b.layout, kSteps, fill, fault);
      EXPECT_FALSE(compare(b.layout, broken, reference, bounds_of(config, kSteps)).ok)
          << to_string(fault);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::diverged) << to_string(fault);
    }
  }
}

constexpr Layout kEveryAxis{.dp = 2,
                            .tp = 2,
                            .micro_batch_size = 2,
                            .zero = 1,
                            .pp = 2,
                            .schedule = ScheduleKind::interleaved_1f1b};
constexpr Layout kTurns{
    .tp = 2, .micro_batch_size = 4, .pp = 2, .schedule = ScheduleKind::zero_bubble_v};
constexpr Layout kData{.dp = 2, .tp = 2, .micro_batch_size = 2};
constexpr Layout kZero3{.dp = 2, .micro_batch_size = 2, .zero = 3};
constexpr Layout kContext{.tp = 2, .micro_batch_size = 8, .cp = 2};
constexpr Layout kRing{.micro_batch_size = 8, .cp = 4};
using enum FaultKind;
INSTANTIATE_TEST_SUITE_P(
    Gpt, Faults,
    ::testing::Values(Breaking{"Dp2Tp2Pp2", &odd_tied, drop_collective, kEveryAxis},
                      Breaking{"Dp2Tp2Pp2", &untied_without_bias, drop_collective, kEveryAxis},
                      Breaking{"Dp2Tp2Pp2", &odd_tied, skip_scale, kEveryAxis},
                      Breaking{"Dp2Tp2Pp2", &odd_tied, wrong_shard, kEveryAxis},
                      Breaking{"Tp2Pp2V", &odd_tied, drop_collective, kTurns},
                      Breaking{"Dp2Tp2", &untied_without_bias, drop_collective, kData},
                      Breaking{"Dp2Zero3", &odd_tied, drop_collective, kZero3},
                      Breaking{"Dp2Zero3", &odd_tied, wrong_shard, kZero3},
                      Breaking{"Tp2Cp2", &odd_tied, drop_collective, kContext},
                      Breaking{"Tp2Cp2", &untied_without_bias, drop_collective, kContext},
                      Breaking{"Cp4", &odd_tied, drop_collective, kRing},
                      Breaking{"Dp2Tp2", &one_layer_muon, drop_collective, kData},
                      Breaking{"Dp2Tp2", &one_layer_muon, skip_scale, kData},
                      Breaking{"Dp2Zero3", &one_layer_muon, wrong_shard, kZero3}),
    [](const auto& test) {
      std::string kind(enum_name(test.param.kind));
      std::erase(kind, '-');
      return fmt::format("{}{}_{}", test.param.name,
                         test.param.config == &odd_tied         ? "OddTied"
                         : test.param.config == &one_layer_muon ? "OneLayerMuon"
                                                                : "UntiedWithoutBias",
                         kind);
    });

TEST(LegalLayouts, LeavesOutWhatCannotBe) {
  RunConfig config = odd_tied();
  config.model.heads = 3;
  config.model.width = 24;
  for (const Layout& l : legal_layouts(config, 4)) {
    EXPECT_TRUE(l.tp == 1 || l.tp == 3) << to_string(l);
    EXPECT_EQ(config.train.batch_size % (l.dp * l.micro_batch_size), 0) << to_string(l);
    EXPECT_TRUE(l.cp == 1 || config.sequence_length() % (2 * l.cp) == 0) << to_string(l);
  }
}

}  // namespace
}  // namespace weft
