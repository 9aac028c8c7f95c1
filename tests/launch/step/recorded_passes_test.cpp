// Steps whose passes are replayed compute the bits of steps whose passes are not.
#include "launch/step/recorded_passes.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/launch/rank_outcome.h"

namespace weft {
namespace {

struct Case {
  const char* name;
  RunConfig config;
  int ranks = 1;
  // Passes of a step that are replayed from the second step on, on each rank.
  int64_t replayed = 0;
};

RunConfig with(RunConfig run, const std::function<void(RunConfig&)>& change) {
  change(run);
  return run;
}

std::vector<RankOutcome> train_all(const RunConfig& config, int ranks, bool recorded) {
  std::vector<RankOutcome> all(static_cast<size_t>(ranks));
  run_local_ranks(ranks, [&](Bootstrap& bootstrap) {
    all[static_cast<size_t>(bootstrap.rank())] = train(config, bootstrap, recorded);
  });
  return all;
}

class RecordedPassesTest : public testing::TestWithParam<Case> {};

TEST_P(RecordedPassesTest, ComputeTheSameBits) {
  const Case& c = GetParam();
  const std::vector<RankOutcome> eager = train_all(c.config, c.ranks, false);
  const std::vector<RankOutcome> replayed = train_all(c.config, c.ranks, true);
  for (size_t rank = 0; rank < eager.size(); ++rank) {
    EXPECT_EQ(eager[rank].seen, replayed[rank].seen) << "rank " << rank;
    EXPECT_TRUE(eager[rank].state == replayed[rank].state) << "rank " << rank;
    EXPECT_EQ(eager[rank].runs.back(), 0);
    const std::vector<int64_t>& runs = replayed[rank].runs;
    for (size_t step = 1; step < runs.size(); ++step) {
      EXPECT_EQ(runs[step] - runs[step - 1], c.replayed) << "step " << step + 1;
    }
  }
}

std::vector<Case> cases() {
  const auto piped = [](ScheduleKind kind, int64_t micro_batch_size) {
    return with(small_run(micro_batch_size), [&](RunConfig& c) {
      c.mesh.pp = 2;
      c.pipeline.schedule = kind;
    });
  };
  const auto zero = [](int64_t stage, int64_t micro_batch_size) {
    return with(small_run(micro_batch_size), [&](RunConfig& c) { c.mesh.zero = stage; });
  };
  const auto precise = [](Precision precision) {
    return with(small_run(3), [&](RunConfig& c) {
      c.precision = precision;
      c.loss_scale.growth_interval = 2;
    });
  };
  const auto recomputed = [](Recompute policy) {
    return with(small_run(4), [&](RunConfig& c) { c.recompute.policy = policy; });
  };
  // Every forward and backward; over several data-parallel ranks not the last backward, which sums
  // run under; with ZeRO 2 no backward.
  return {
      {"OneMicroBatch", small_run(12), 1, 2},
      {"ThreeMicroBatches", small_run(4), 1, 6},
      {"FourMicroBatches", small_run(3), 1, 8},
      {"TwoRanksOfOne", small_run(6), 2, 1},
      {"TwoRanksOfThree", small_run(2), 2, 5},
      {"Zero1", zero(1, 2), 2, 5},
      {"Zero2", zero(2, 2), 2, 3},
      {"Gpipe", piped(ScheduleKind::gpipe, 3), 2, 8},
      {"OneFOneB", piped(ScheduleKind::one_f_one_b, 2), 2, 12},
      {"Interleaved", piped(ScheduleKind::interleaved_1f1b, 3), 2, 16},
      {"ZeroBubble", piped(ScheduleKind::zero_bubble_h1, 2), 2, 18},
      {"ZeroBubbleOverTwo", piped(ScheduleKind::zero_bubble_h1, 2), 4, 7},
      {"ZeroBubbleInAV", piped(ScheduleKind::zero_bubble_v, 2), 2, 36},
      {"RecomputeSelective", recomputed(Recompute::selective), 1, 6},
      {"RecomputeFull", recomputed(Recompute::full), 1, 6},
      {"RecomputeFullInPipeline",
       with(piped(ScheduleKind::one_f_one_b, 2),
            [](RunConfig& c) { c.recompute.policy = Recompute::full; }),
       2, 12},
      {"UntiedWithSinusoids",
       with(small_run(3),
            [](RunConfig& c) {
              c.model.tied_head = false;
              c.model.position = GptConfig::Position::sinusoidal;
            }),
       1, 8},
      {"Bf16", precise(Precision::bf16), 1, 8},
      {"F16WithALossScale", precise(Precision::f16), 1, 8},
      {"Elastic",
       with(small_run(2),
            [](RunConfig& c) {
              c.determinism = Determinism::elastic;
              c.train.batch_size = 16;
            }),
       2, 7},
  };
}

INSTANTIATE_TEST_SUITE_P(Cases, RecordedPassesTest, testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(RecordedPassesMemoryTest, AreRecordedAgainWhenWorkingMemoryHasMoved) {
  const RunConfig config = small_run(4);
  run_local_ranks(1, [&](Bootstrap& bootstrap) {
    EngineRank eager(config, bootstrap), rank(config, bootstrap, nullptr, true);
    for (int64_t update = 1; update <= 2; ++update) {
      EXPECT_EQ(rank.step(update).loss, eager.step(update).loss);
    }
    EXPECT_EQ(rank.recording().recordings(), 2);  // a forward and a backward
    rank.recording().reserve(rank.recording().reserved() + (size_t{1} << 20));
    for (int64_t update = 3; update <= 5; ++update) {
      EXPECT_EQ(rank.step(update).loss, eager.step(update).loss);
    }
    EXPECT_EQ(rank.recording().recordings(), 4);
    EXPECT_EQ(rank.recorded_runs(), 5 * 6 - 2);
  });
}

// What the comparison is there to find: dropout's masks are values of arguments, so the recording
// repeats those of one micro-batch. That is why cross_check refuses it.
TEST(RecordedPassesFaultTest, AValueThatChangesWithTheMicroBatchIsNoticed) {
  const RunConfig config = with(small_run(4), [](RunConfig& c) { c.model.dropout = 0.1; });
  EXPECT_NE(train_all(config, 1, false)[0].seen, train_all(config, 1, true)[0].seen);
}

}  // namespace
}  // namespace weft
