// Elastic runs have the same bits on every number of data-parallel ranks, every ZeRO stage, every
// pipeline and schedule.
#include <gtest/gtest.h>

#include "launch/verify/layout_run.h"
#include "tests/launch/engine_rank.h"

namespace weft {
namespace {

constexpr int64_t kSteps = 5;

// Eight micro-batches.
RunConfig elastic_run() {
  RunConfig run = odd_run();
  run.determinism = Determinism::elastic;
  run.train.batch_size = 16;
  return run;
}

RunConfig elastic_untied_run() {
  RunConfig run = elastic_run();
  run.model.tied_head = false;
  run.model.bias = false;
  run.model.position = GptConfig::Position::sinusoidal;
  return run;
}

constexpr int64_t kMicroBatch = 2;

std::vector<Layout> layouts(int tp) {
  std::vector<Layout> all;
  for (const int dp : {1, 2, 4}) {
    for (int64_t zero = 0; zero <= 3; ++zero) {
      all.push_back({.dp = dp, .tp = tp, .micro_batch_size = kMicroBatch, .zero = zero});
    }
  }
  return all;
}

LayoutTrace train(const RunConfig& config, const Layout& layout) {
  return run_layout(config, layout, kSteps, made_up_text(*config.model.vocab_size));
}

void expect_same_bits(const RunConfig& config, const std::vector<Layout>& layouts) {
  const LayoutTrace first = train(config, layouts.front());
  EXPECT_NE(first.trained, first.initial);
  for (const Layout& layout : layouts) {
    const LayoutTrace trace = train(config, layout);
    EXPECT_EQ(trace.disagreements, std::vector<std::string>{}) << to_string(layout);
    EXPECT_EQ(trace.losses, first.losses) << to_string(layout);
    EXPECT_EQ(trace.grad_norms, first.grad_norms) << to_string(layout);
    EXPECT_EQ(trace.gradients, first.gradients) << to_string(layout);
    EXPECT_EQ(trace.trained, first.trained) << to_string(layout);
    EXPECT_EQ(trace.moments, first.moments) << to_string(layout);
  }
}

// One rank, and pipelines of two stages with and without ZeRO.
std::vector<Layout> pipelines() {
  std::vector<Layout> all{{.micro_batch_size = kMicroBatch}};
  for (const ScheduleKind schedule : schedule_kinds()) {
    for (int64_t zero = 0; zero <= 3; ++zero) {
      if (zero >= 2 && traits(schedule).splits_backward) continue;
      all.push_back({.dp = zero == 0 ? 1 : 2,
                     .micro_batch_size = kMicroBatch,
                     .zero = zero,
                     .pp = 2,
                     .schedule = schedule});
    }
  }
  return all;
}

TEST(Elastic, TiedHasTheSameBitsInEveryLayout) { expect_same_bits(elastic_run(), layouts(1)); }

TEST(Elastic, UntiedHasTheSameBitsInEveryLayout) {
  expect_same_bits(elastic_untied_run(), layouts(1));
}

TEST(Elastic, TiedHasTheSameBitsInEveryPipeline) { expect_same_bits(elastic_run(), pipelines()); }

TEST(Elastic, UntiedHasTheSameBitsInEveryPipeline) {
  expect_same_bits(elastic_untied_run(), pipelines());
}

// Eight blocks are one for each chunk of four stages.
TEST(Elastic, HasTheSameBitsWhereAChainOfFourStagesTurns) {
  for (RunConfig run : {elastic_run(), elastic_untied_run()}) {
    run.model.layers = 8;
    constexpr ScheduleKind kTurns = ScheduleKind::zero_bubble_v;
    expect_same_bits(
        run, {{.micro_batch_size = kMicroBatch},
              {.micro_batch_size = kMicroBatch, .pp = 4, .schedule = kTurns},
              {.dp = 2, .micro_batch_size = kMicroBatch, .zero = 1, .pp = 4, .schedule = kTurns}});
  }
}

TEST(Elastic, HoldsAtFixedTensorParallelism) {
  RunConfig run = elastic_run();
  run.model.heads = 2;
  expect_same_bits(run, layouts(2));
}

// What elastic is for: without it, the order of sums belongs to the layout.
TEST(Elastic, IsNotHowOtherRunsAdd) {
  RunConfig run = elastic_run();
  run.determinism = Determinism::layout;
  const LayoutTrace one = train(run, {.dp = 1, .micro_batch_size = kMicroBatch});
  const LayoutTrace four = train(run, {.dp = 4, .micro_batch_size = kMicroBatch});
  EXPECT_NE(one.trained, four.trained);
}

TEST(Elastic, EvaluatesToTheSameBits) {
  std::vector<double> losses;
  for (const int dp : {1, 2, 4}) {
    RunConfig config = elastic_run();
    config.train.micro_batch_size = kMicroBatch;
    config.mesh.zero = dp == 4 ? 3 : 0;
    run_local_ranks(dp, [&](Bootstrap& bootstrap) {
      EngineRank rank(config, bootstrap);
      const double loss = rank.evaluate(37);
      if (bootstrap.rank() == 0) losses.push_back(loss);
    });
  }
  EXPECT_EQ(losses, std::vector<double>(3, losses.front()));
}

}  // namespace
}  // namespace weft
