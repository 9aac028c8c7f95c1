// Whole runs with optimizers beside AdamW: the same bits in every layout of an elastic run, resumed
// from any of them, in 16-bit types too.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "launch/verify/layout_run.h"
#include "tests/launch/engine_rank.h"

namespace weft {
namespace {

constexpr int64_t kMicroBatch = 2;

// Eight micro-batches, q, k and v of three heads, an odd vocabulary, a tied head, dropout.
RunConfig run_of(OptimizerKind kind) {
  RunConfig run = odd_run();
  run.determinism = Determinism::elastic;
  run.train.batch_size = 16;
  run.optimizer = {.kind = kind};
  return run;
}
RunConfig sgd() { return run_of(OptimizerKind::sgd); }
RunConfig muon() { return run_of(OptimizerKind::muon); }
RunConfig muon_in_bf16() {
  RunConfig run = run_of(OptimizerKind::muon);
  run.precision = Precision::bf16;
  run.optimizer.state_dtype = OptimizerConfig::StateType::bf16;
  run.optimizer.stochastic_rounding = true;
  return run;
}
RunConfig sgd_in_bf16() {
  RunConfig run = muon_in_bf16();
  run.optimizer.kind = OptimizerKind::sgd;
  return run;
}

std::vector<Layout> layouts() {
  std::vector<Layout> all;
  for (const int dp : {1, 2, 4}) {
    for (int64_t zero = 0; zero <= 3; ++zero) {
      all.push_back({.dp = dp, .micro_batch_size = kMicroBatch, .zero = zero});
    }
  }
  all.push_back({.micro_batch_size = kMicroBatch, .pp = 2});
  all.push_back({.dp = 2, .micro_batch_size = kMicroBatch, .zero = 3, .pp = 2});
  all.push_back({.dp = 2,
                 .micro_batch_size = kMicroBatch,
                 .zero = 1,
                 .pp = 2,
                 .schedule = ScheduleKind::zero_bubble_h1});
  return all;
}

void expect_same_bits(const RunConfig& config, const std::vector<Layout>& layouts) {
  const auto train = [&](const Layout& layout) {
    return run_layout(config, layout, 4, made_up_text(*config.model.vocab_size));
  };
  const LayoutTrace first = train(layouts.front());
  EXPECT_NE(first.trained, first.initial);
  for (const Layout& layout : layouts) {
    const LayoutTrace trace = train(layout);
    EXPECT_EQ(trace.disagreements, std::vector<std::string>{}) << to_string(layout);
    EXPECT_EQ(trace.losses, first.losses) << to_string(layout);
    EXPECT_EQ(trace.trained, first.trained) << to_string(layout);
    EXPECT_EQ(trace.moments, first.moments) << to_string(layout);
  }
}

class Resumed : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "weft_kinds_" + std::to_string(getpid());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // Saves after two steps; the loss of the third.
  double save(const RunConfig& config, const Layout& layout) {
    double loss = 0;
    run_local_ranks(layout.ranks(), [&](Bootstrap& bootstrap) {
      EngineRank rank(with_layout(config, layout), bootstrap);
      rank.step(1);
      rank.step(2);
      const auto shards = shards_of(rank.engine().parameters(), rank.engine().optimizer());
      save_checkpoint({.directory = directory_, .step = 2, .shards = shards}, bootstrap);
      rank.step(3);
      const double next = rank.step(4).loss;
      if (bootstrap.rank() == 0) loss = next;
    });
    return loss;
  }
  double load(const RunConfig& config, const Layout& layout) {
    double loss = 0;
    run_local_ranks(layout.ranks(), [&](Bootstrap& bootstrap) {
      EngineRank rank(with_layout(config, layout), bootstrap);
      rank.load(directory_ + "/step_00000002");
      rank.step(3);
      const double next = rank.step(4).loss;
      if (bootstrap.rank() == 0) loss = next;
    });
    return loss;
  }

  std::string directory_;
};

class Kinds : public Resumed, public ::testing::WithParamInterface<RunConfig (*)()> {};

TEST_P(Kinds, HaveTheSameBitsInEveryLayout) { expect_same_bits(GetParam()(), layouts()); }

TEST_P(Kinds, HaveTheSameBitsAtFixedTensorParallelism) {
  RunConfig run = GetParam()();
  run.model.heads = 2;
  expect_same_bits(run, {{.tp = 2, .micro_batch_size = kMicroBatch},
                         {.dp = 2, .tp = 2, .micro_batch_size = kMicroBatch, .zero = 1},
                         {.dp = 2, .tp = 2, .micro_batch_size = kMicroBatch, .zero = 3},
                         {.tp = 2, .micro_batch_size = kMicroBatch, .pp = 2}});
}

TEST_P(Kinds, GoOnInAnyLayout) {
  RunConfig config = GetParam()();
  config.model.heads = 2;
  const Layout savers[] = {{.micro_batch_size = kMicroBatch},
                           {.dp = 4, .micro_batch_size = kMicroBatch, .zero = 2},
                           {.dp = 2, .micro_batch_size = kMicroBatch, .zero = 1, .pp = 2}};
  for (const Layout& saver : savers) {
    const double loss = save(config, saver);
    for (const Layout& loader : savers) {
      EXPECT_EQ(load(config, loader), loss) << to_string(saver) << " to " << to_string(loader);
    }
    const double cut = load(config, {.tp = 2, .micro_batch_size = kMicroBatch});
    EXPECT_NEAR(cut, loss, (config.precision == Precision::f32 ? 1e-5 : 2e-2) * loss);
    std::filesystem::remove_all(directory_);
  }
}

INSTANTIATE_TEST_SUITE_P(Gpt, Kinds, ::testing::Values(&sgd, &sgd_in_bf16, &muon, &muon_in_bf16),
                         [](const auto& test) {
                           return std::string(test.param == &sgd           ? "Sgd"
                                              : test.param == &sgd_in_bf16 ? "SgdBf16"
                                              : test.param == &muon        ? "Muon"
                                                                           : "MuonBf16");
                         });

// Whose states are others.
TEST_F(Resumed, ByAnotherKindIsRefused) {
  using enum OptimizerKind;
  for (const OptimizerKind from : {adamw, sgd, muon}) {
    save(run_of(from), {.micro_batch_size = kMicroBatch});
    for (const OptimizerKind to : {adamw, sgd, muon}) {
      if (from == to) continue;
      try {
        load(run_of(to), {.micro_batch_size = kMicroBatch});
        ADD_FAILURE() << enum_name(from) << " to " << enum_name(to);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::input);
        EXPECT_THAT(error.what(), ::testing::HasSubstr("another optimizer.kind; give that its"));
      }
    }
    std::filesystem::remove_all(directory_);
  }
}

}  // namespace
}  // namespace weft
