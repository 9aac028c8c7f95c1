// Training in bf16 and f16: as good as f32, the same bits in every layout of an elastic run and
// after a resume, and what becomes of gradients that are not finite.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <map>

#include "core/checkpoint/checkpoint.h"
#include "launch/step/run_state.h"
#include "launch/verify/layout_run.h"
#include "tests/launch/engine_rank.h"

namespace weft {
namespace {

RunConfig odd_run(Precision precision) {
  RunConfig run = weft::odd_run();
  run.precision = precision;
  run.train.batch_size = 16;
  run.schedule.warmup_steps = 0;
  return run;
}

// Everything that may be rounded at random is.
RunConfig stochastic_run() {
  RunConfig run = odd_run(Precision::bf16);
  run.optimizer.state_dtype = OptimizerConfig::StateType::bf16;
  run.optimizer.stochastic_rounding = true;
  return run;
}

RunConfig f16_run() { return odd_run(Precision::f16); }

TEST(Precision, TrainsLikeF32) {
  const auto losses = [](Precision precision) {
    RunConfig config = char_run();
    config.precision = precision;
    config.schedule.warmup_steps = 0;
    std::vector<double> all;
    run_local_ranks(1, [&](Bootstrap& bootstrap) {
      EngineRank rank(config, bootstrap);
      for (int64_t update = 1; update <= 40; ++update) all.push_back(rank.step(update).loss);
    });
    return all;
  };
  const std::vector<double> f32 = losses(Precision::f32);
  EXPECT_LT(f32.back(), f32.front() - 1);
  for (const Precision precision : {Precision::bf16, Precision::f16}) {
    const std::vector<double> narrow = losses(precision);
    EXPECT_NE(narrow, f32);
    EXPECT_NEAR(narrow.back(), f32.back(), 0.02) << enum_name(precision);
  }
}

LayoutTrace train(const RunConfig& config, const Layout& layout, int64_t steps) {
  return run_layout(config, layout, steps, made_up_text(*config.model.vocab_size));
}

class ElasticPrecision : public ::testing::TestWithParam<RunConfig (*)()> {};

TEST_P(ElasticPrecision, HasTheSameBitsInEveryLayout) {
  RunConfig config = GetParam()();
  config.determinism = Determinism::elastic;
  const LayoutTrace one = train(config, {.micro_batch_size = 2}, 4);
  EXPECT_NE(one.trained, one.initial);
  for (const Layout& layout :
       {Layout{.dp = 2, .micro_batch_size = 2}, Layout{.dp = 2, .micro_batch_size = 2, .zero = 1},
        Layout{.dp = 4, .micro_batch_size = 2, .zero = 2},
        Layout{.dp = 4, .micro_batch_size = 2, .zero = 3}, Layout{.micro_batch_size = 2, .pp = 2},
        Layout{.dp = 2, .micro_batch_size = 2, .zero = 3, .pp = 2}}) {
    const LayoutTrace trace = train(config, layout, 4);
    EXPECT_EQ(trace.disagreements, std::vector<std::string>{}) << to_string(layout);
    EXPECT_EQ(trace.losses, one.losses) << to_string(layout);
    EXPECT_EQ(trace.grad_norms, one.grad_norms) << to_string(layout);
    EXPECT_EQ(trace.trained, one.trained) << to_string(layout);
    EXPECT_EQ(trace.moments, one.moments) << to_string(layout);
  }
}

INSTANTIATE_TEST_SUITE_P(Gpt, ElasticPrecision, ::testing::Values(&stochastic_run, &f16_run),
                         [](const auto& test) {
                           return test.param == &f16_run ? "F16" : "Bf16Stochastic";
                         });

// The bits of what this rank updates.
std::vector<float> masters(EngineRank& rank) {
  std::vector<float> all;
  for (const auto& p : rank.engine().parameters()) {
    const float* data = p->own_master.data<float>();
    all.insert(all.end(), data, data + p->own_master.elements());
  }
  return all;
}

// Once armed, puts infinity into the gradient of the token table before the next addition to it.
class Poison final : public OpObserver {
 public:
  void arm() { armed_ = true; }
  void before(const OpCall& call, Stream&) override {
    if (!armed_ || call.name != "embedding_backward") return;
    call.tensors[1].data<float>()[0] = std::numeric_limits<float>::infinity();
    armed_ = false;
  }
  void after(const OpCall&, Stream&) override {}

 private:
  bool armed_ = false;
};

class Overflow : public ::testing::TestWithParam<Layout> {};

// One rank's gradient is not finite in step 3: no rank updates, and the scale, which had grown
// after two updates, goes back on all of them alike.
TEST_P(Overflow, IsSkippedOnAllRanksAlike) {
  const Layout& layout = GetParam();
  RunConfig config = f16_run();
  if (layout.tp == 2) config.model.heads = 2;
  config.loss_scale.initial = 1024;
  config.loss_scale.growth_interval = 2;
  config = with_layout(config, layout);
  run_local_ranks(layout.ranks(), [&](Bootstrap& bootstrap) {
    Poison poison;
    EngineRank rank(config, bootstrap, &poison);
    const std::vector<float> scales{1024, 1024, 2048, 1024, 1024, 2048};
    std::vector<float> before;
    for (int64_t update = 1; update <= 6; ++update) {
      // The last rank of the first stage, which has the table.
      if (update == 3 && bootstrap.rank() == layout.ranks() / layout.pp - 1) poison.arm();
      const StepResult result = rank.step(update);
      EXPECT_EQ(result.skipped, update == 3) << update;
      EXPECT_EQ(result.loss_scale, scales[static_cast<size_t>(update - 1)]) << update;
      EXPECT_EQ(std::isfinite(result.grad_norm), update != 3) << update;
      const std::vector<float> after = masters(rank);
      EXPECT_EQ(after == before, update == 3) << update;
      before = after;
    }
    EXPECT_EQ(rank.engine().update_state(),
              (UpdateControl::State{.made = 5, .skipped = 1, .good = 1, .loss_scale = 2048.0f}));
  });
}

INSTANTIATE_TEST_SUITE_P(Layouts, Overflow,
                         ::testing::Values(Layout{.micro_batch_size = 4},
                                           Layout{.dp = 2, .micro_batch_size = 4},
                                           Layout{.dp = 2, .micro_batch_size = 4, .zero = 3},
                                           Layout{.tp = 2, .micro_batch_size = 8},
                                           Layout{.micro_batch_size = 8, .cp = 2},
                                           Layout{.micro_batch_size = 4, .pp = 2}));

TEST(LossScale, IsFoundFromFarAbove) {
  RunConfig config = with_layout(f16_run(), {.dp = 2, .micro_batch_size = 4});
  config.loss_scale.initial = 0x1p24;
  run_local_ranks(2, [&](Bootstrap& bootstrap) {
    EngineRank rank(config, bootstrap);
    EXPECT_TRUE(rank.step(1).skipped);
    for (int64_t update = 2; update <= 12; ++update) rank.step(update);
    const UpdateControl::State state = rank.engine().update_state();
    EXPECT_GE(state.made, 6);
    EXPECT_EQ(*state.loss_scale, std::ldexp(1.0f, 24 - static_cast<int>(state.skipped)));
  });
}

TEST(LossScale, EndsTheRunWhereItCannotShrink) {
  for (const bool dynamic : {true, false}) {
    RunConfig config = f16_run();
    config.loss_scale.initial = config.loss_scale.min = 0x1p24;
    config.loss_scale.dynamic = dynamic;
    run_local_ranks(1, [&](Bootstrap& bootstrap) {
      EngineRank rank(config, bootstrap);
      const std::vector<float> before = masters(rank);
      try {
        rank.step(1);
        ADD_FAILURE() << "a step at a scale of 2^24";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::diverged) << error.what();
        EXPECT_NE(std::string(error.what()).find("loss scale of 16777216"), std::string::npos)
            << error.what();
      }
      EXPECT_EQ(masters(rank), before);
    });
  }
}

// Where nothing can be scaled, a gradient that is not finite ends the run and no weight is lost.
TEST(Bf16, EndsTheRunWhenGradientsAreNotFinite) {
  run_local_ranks(1, [&](Bootstrap& bootstrap) {
    Poison poison;
    EngineRank rank(odd_run(Precision::bf16), bootstrap, &poison);
    rank.step(1);
    const std::vector<float> before = masters(rank);
    poison.arm();
    EXPECT_THROW(rank.step(2), Error);
    EXPECT_EQ(masters(rank), before);
  });
}

class Resume : public ::testing::TestWithParam<RunConfig (*)()> {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "weft_precision_" + std::to_string(getpid());
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string directory_;
};

// With a scale that grows every two updates and a skipped step before the checkpoint.
TEST_P(Resume, IsBitwiseInAnotherLayoutToo) {
  RunConfig config = GetParam()();
  config.determinism = Determinism::elastic;
  if (config.scales_loss()) {
    config.loss_scale.initial = 0x1p24;
    config.loss_scale.growth_interval = 3;
  }
  const Layout layout{.dp = 2, .micro_batch_size = 2, .zero = 1};
  std::vector<double> losses;
  UpdateControl::State state;
  run_local_ranks(2, [&](Bootstrap& bootstrap) {
    EngineRank rank(with_layout(config, layout), bootstrap);
    for (int64_t update = 1; update <= 5; ++update) rank.step(update);
    if (bootstrap.rank() == 0) state = rank.engine().update_state();
    const std::vector<Shard> shards =
        shards_of(rank.engine().parameters(), rank.engine().optimizer());
    save_checkpoint({.directory = directory_, .step = 5, .shards = shards}, bootstrap);
    for (int64_t update = 6; update <= 8; ++update) {
      const double loss = rank.step(update).loss;
      if (bootstrap.rank() == 0) losses.push_back(loss);
    }
  });
  const std::string json = to_json({.step = 5, .updates = state});
  EXPECT_EQ(parse_run_state(json, "here").updates, state);
  EXPECT_EQ(state.skipped > 0, config.scales_loss());
  for (const Layout& other :
       {layout, Layout{.dp = 2, .micro_batch_size = 2, .zero = 3}, Layout{.micro_batch_size = 2},
        Layout{.micro_batch_size = 2, .pp = 2}}) {
    std::vector<double> again;
    run_local_ranks(other.ranks(), [&](Bootstrap& bootstrap) {
      EngineRank rank(with_layout(config, other), bootstrap);
      rank.load(directory_ + "/step_00000005", state);
      for (int64_t update = 6; update <= 8; ++update) {
        const double loss = rank.step(update).loss;
        if (bootstrap.rank() == 0) again.push_back(loss);
      }
    });
    EXPECT_EQ(again, losses) << to_string(other);
  }
}

INSTANTIATE_TEST_SUITE_P(Gpt, Resume, ::testing::Values(&stochastic_run, &f16_run),
                         [](const auto& test) {
                           return test.param == &f16_run ? "F16" : "Bf16Stochastic";
                         });

std::map<std::string, size_t> memory_of(const RunConfig& config) {
  std::map<std::string, size_t> bytes;
  run_local_ranks(1, [&](Bootstrap& bootstrap) {
    EngineRank rank(config, bootstrap);
    for (const SegmentBytes& s : rank.engine().memory()) bytes[s.name] = s.bytes;
  });
  return bytes;
}

// Weights of 2 bytes to compute with, masters of 4 beside the moments, activations of half the size
// but for the statistics of rows.
TEST(Memory, GoesByTheTypes) {
  RunConfig config = char_run();
  const auto f32 = memory_of(config);
  config.precision = Precision::bf16;
  const auto bf16 = memory_of(config);
  EXPECT_EQ(2 * bf16.at("weights"), f32.at("weights"));
  EXPECT_EQ(bf16.at("gradients"), f32.at("gradients"));
  EXPECT_EQ(bf16.at("optimizer"), f32.at("optimizer") + f32.at("weights"));
  EXPECT_LT(bf16.at("activations"), 0.54 * static_cast<double>(f32.at("activations")));
  config.optimizer.state_dtype = OptimizerConfig::StateType::bf16;
  // Which takes half of the moments away again, as many bytes as the masters but for their padding.
  EXPECT_NEAR(static_cast<double>(memory_of(config).at("optimizer")),
              static_cast<double>(f32.at("optimizer")),
              0.02 * static_cast<double>(f32.at("optimizer")));
}

}  // namespace
}  // namespace weft
