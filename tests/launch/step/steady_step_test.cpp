// After the first steps, a step takes nothing from the heap.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include "tests/launch/engine_rank.h"
#include "tests/support/allocation_count.h"

namespace weft {
namespace {

struct Ranks {
  int all = 1, tp = 1, cp = 1;
  int64_t zero = 0;
  bool recorded = false;
  OptimizerKind optimizer = OptimizerKind::adamw;
};

class SteadyStep : public ::testing::TestWithParam<Ranks> {};

TEST_P(SteadyStep, AllocatesNothing) {
  RunConfig config = char_run_with_everything();
  config.train.micro_batch_size = 3;
  config.mesh.tp = GetParam().tp;
  config.optimizer.kind = GetParam().optimizer;
  config.mesh.cp = GetParam().cp;
  config.mesh.zero = GetParam().zero;
  if (GetParam().recorded) config.model.dropout = 0;
  int64_t taken = -1;
  EXPECT_GT(testing::allocations(), 0);  // they are counted
  run_local_ranks(GetParam().all, [&](Bootstrap& bootstrap) {
    EngineRank rank(config, bootstrap, nullptr, GetParam().recorded);
    for (int64_t update = 1; update <= 3; ++update) rank.step(update);
    rank.evaluate(12);
    bootstrap.barrier();
    const int64_t before = testing::allocations();
    for (int64_t update = 4; update <= 6; ++update) rank.step(update);
    rank.evaluate(12);
    // Summing the losses in evaluate, every rank has waited for every other.
    const int64_t after = testing::allocations();
    bootstrap.barrier();
    if (bootstrap.rank() == 0) taken = after - before;
  });
  EXPECT_EQ(taken, 0);
}

INSTANTIATE_TEST_SUITE_P(
    LocalRanks, SteadyStep,
    ::testing::Values(Ranks{1}, Ranks{2}, Ranks{.all = 2, .tp = 2}, Ranks{.all = 2, .zero = 1},
                      Ranks{.all = 2, .zero = 2}, Ranks{.all = 2, .zero = 3},
                      Ranks{.all = 2, .cp = 2}, Ranks{.all = 2, .recorded = true},
                      Ranks{.zero = 1, .optimizer = OptimizerKind::sgd},
                      Ranks{.all = 2, .optimizer = OptimizerKind::muon},
                      Ranks{.all = 2, .tp = 2, .optimizer = OptimizerKind::muon},
                      Ranks{.all = 2, .zero = 2, .optimizer = OptimizerKind::muon}),
    [](const auto& test) {
      const Ranks& r = test.param;
      return fmt::format("{}Tp{}Cp{}Zero{}{}_{}", r.all, r.tp, r.cp, r.zero,
                         r.recorded ? "Recorded" : "", enum_name(r.optimizer));
    });

}  // namespace
}  // namespace weft
