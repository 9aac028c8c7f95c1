#include "launch/verify/verify.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "launch/train/random_tokens.h"
#include "tests/launch/small_runs.h"

namespace weft {
namespace {

constexpr int64_t kSteps = 2;

class Verify : public ::testing::TestWithParam<RunConfig (*)()> {};

TEST_P(Verify, EveryLayoutOfFourRanksTrainsLikeOne) {
  const RunConfig config = GetParam()();
  const std::vector<Layout> layouts = legal_layouts(config, 4);
  EXPECT_GE(layouts.size(), 15u);
  EXPECT_TRUE(verify_layouts(config, layouts, kSteps, {}, [](const Comparison& c) {
    EXPECT_TRUE(c.ok) << to_string(c.layout) << ": " << c.worst << " " << c.error << " > "
                      << c.bound;
  }));
}

INSTANTIATE_TEST_SUITE_P(Gpt, Verify, ::testing::Values(&odd_tied, &untied_without_bias),
                         [](const auto& test) {
                           return test.param == &odd_tied ? "OddTied" : "UntiedWithoutBias";
                         });

class Faults : public ::testing::TestWithParam<std::tuple<RunConfig (*)(), Layout>> {};

TEST_P(Faults, AreNoticedWhicheverCollectiveIsLeftOut) {
  const auto& [make, layout] = GetParam();
  const RunConfig config = make();
  const FillSample fill = random_tokens(*config.model.vocab_size);
  const LayoutTrace reference = run_layout(config, {1, 1, config.train.batch_size}, kSteps, fill);
  int64_t calls = 0;
  run_layout(config, layout, kSteps, fill, {}, &calls);
  ASSERT_GT(calls, 50);
  for (int64_t drop = 0; drop < calls; ++drop) {
    const LayoutTrace broken = run_layout(config, layout, kSteps, fill, {.drop = drop});
    EXPECT_FALSE(compare(layout, broken, reference, bounds_of(config, kSteps)).ok)
        << "collective " << drop << " of " << calls;
  }
}

constexpr Layout kFaultLayouts[] = {{.dp = 2, .tp = 2, .micro_batch_size = 2},
                                    {.dp = 2, .tp = 2, .micro_batch_size = 2, .zero = 1},
                                    {.dp = 2, .micro_batch_size = 2, .zero = 3},
                                    {.tp = 2, .micro_batch_size = 8, .cp = 2},
                                    {.micro_batch_size = 8, .cp = 4}};
INSTANTIATE_TEST_SUITE_P(Gpt, Faults,
                         ::testing::Combine(::testing::Values(&odd_tied, &untied_without_bias),
                                            ::testing::ValuesIn(kFaultLayouts)),
                         [](const auto& test) {
                           const bool tied = std::get<0>(test.param) == &odd_tied;
                           const Layout& layout = std::get<1>(test.param);
                           return fmt::format("{}Dp{}Tp{}Cp{}Zero{}",
                                              tied ? "OddTied" : "UntiedWithoutBias", layout.dp,
                                              layout.tp, layout.cp, layout.zero);
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
