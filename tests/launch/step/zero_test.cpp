// ZeRO: the same bits as without it, in less memory, and checkpoints that any stage reads.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "core/checkpoint/checkpoint.h"
#include "core/model/gpt_specs.h"
#include "launch/step/run_state.h"
#include "launch/verify/layout_run.h"
#include "tests/launch/engine_rank.h"

namespace weft {
namespace {

constexpr int64_t kSteps = 3;

RunConfig odd_untied_run() {
  RunConfig run = odd_run();
  run.model.tied_head = false;
  run.model.bias = false;
  return run;
}

LayoutTrace train(const RunConfig& config, const Layout& layout) {
  return run_layout(config, layout, kSteps, made_up_text(*config.model.vocab_size));
}

class Zero : public ::testing::TestWithParam<RunConfig (*)()> {};

void expect_same_bits(const RunConfig& config, Layout layout, int64_t zero, int64_t other) {
  layout.zero = zero;
  const LayoutTrace a = train(config, layout);
  layout.zero = other;
  const LayoutTrace b = train(config, layout);
  EXPECT_EQ(b.disagreements, std::vector<std::string>{}) << to_string(layout);
  EXPECT_EQ(b.losses, a.losses) << to_string(layout);
  EXPECT_EQ(b.grad_norms, a.grad_norms) << to_string(layout);
  EXPECT_EQ(b.gradients, a.gradients) << to_string(layout);
  EXPECT_EQ(b.trained, a.trained) << to_string(layout);
  EXPECT_EQ(b.moments, a.moments) << to_string(layout);
}

// Stages 2 and 3 add up micro-batches in another order than 0 and 1.
TEST_P(Zero, StagesThatAddInOneOrderHaveTheSameBits) {
  for (const Layout& plain : {Layout{2, 1, 3}, Layout{3, 1, 4}, Layout{4, 1, 3}, Layout{2, 3, 6}}) {
    expect_same_bits(GetParam()(), plain, 0, 1);
    expect_same_bits(GetParam()(), plain, 2, 3);
  }
}

INSTANTIATE_TEST_SUITE_P(Gpt, Zero, ::testing::Values(&odd_run, &odd_untied_run),
                         [](const auto& test) {
                           return test.param == &odd_run ? "OddTied" : "OddUntied";
                         });

std::map<std::string, size_t> memory_of(RunConfig config, int ranks, int64_t zero) {
  config.mesh.zero = zero;
  std::map<std::string, size_t> bytes;
  run_local_ranks(ranks, [&](Bootstrap& bootstrap) {
    EngineRank rank(config, bootstrap);
    if (bootstrap.rank() != 0) return;
    for (const SegmentBytes& s : rank.engine().memory()) bytes[s.name] = s.bytes;
  });
  return bytes;
}

// ZeRO's formulas (arXiv 1910.02054, figure 1) for f32: of 4 bytes of weight, 4 of gradient and 8
// of moments per parameter, stage 1 divides the last by the number of ranks, 2 the gradient, 3 the
// weight too. What is transient is two units of the model, here two blocks.
TEST(ZeroMemory, ShrinksAsTheFormulasSay) {
  constexpr int kRanks = 4;
  RunConfig config = char_run();
  config.model.layers = 12;
  config.model.tied_head = false;  // else the table's gradient is there twice from stage 2 on
  const auto parameters = static_cast<double>(parameter_count(config.model));
  const auto width = static_cast<double>(config.model.width);
  const double slots = 2 * 4 * (12 * width * width + 2 * width);
  // A little more than the formula: padding to blocks, and the slots of the gradient norm.
  const auto expect_near = [](size_t bytes, double formula) {
    EXPECT_GE(static_cast<double>(bytes), formula);
    EXPECT_LE(static_cast<double>(bytes), formula * 1.06);
  };
  for (int64_t zero = 0; zero <= 3; ++zero) {
    const auto bytes = memory_of(config, kRanks, zero);
    const auto share = [&](int64_t stage) {
      return zero >= stage ? parameters / kRanks : parameters;
    };
    expect_near(bytes.at("optimizer"), 8 * share(1));
    expect_near(bytes.at("gradients"), 4 * share(2) + (zero >= 2 ? slots : 0));
    expect_near(bytes.at("weights"), 4 * share(3) + (zero >= 3 ? slots : 0));
  }
}

class Checkpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "weft_zero_" + std::to_string(getpid());
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // Trains two steps and saves; returns the loss of the third.
  double save(RunConfig config, int ranks, std::vector<int64_t>* bytes_written = nullptr) {
    double loss = 0;
    run_local_ranks(ranks, [&](Bootstrap& bootstrap) {
      EngineRank rank(config, bootstrap);
      rank.step(1);
      rank.step(2);
      const std::vector<Shard> shards =
          shards_of(rank.engine().parameters(), rank.engine().optimizer());
      save_checkpoint({.directory = directory_, .step = 2, .shards = shards}, bootstrap);
      if (bytes_written != nullptr) {
        int64_t bytes = 0;
        for (const Shard& s : shards) bytes += s.box.extent.elements() * int64_t{4};
        (*bytes_written)[static_cast<size_t>(bootstrap.rank())] = bytes;
      }
      const StepResult result = rank.step(3);
      if (bootstrap.rank() == 0) loss = result.loss;
    });
    return loss;
  }

  // Loads and returns the loss of the third step.
  double load(RunConfig config, int ranks) {
    double loss = 0;
    run_local_ranks(ranks, [&](Bootstrap& bootstrap) {
      EngineRank rank(config, bootstrap);
      rank.load(directory_ + "/step_00000002");
      const StepResult result = rank.step(3);
      if (bootstrap.rank() == 0) loss = result.loss;
    });
    return loss;
  }

  std::string directory_;
};

TEST_F(Checkpoint, OfAnyStageLoadsIntoAnyOther) {
  for (int64_t from = 0; from <= 3; ++from) {
    RunConfig saved = odd_run();
    saved.mesh.zero = from;
    const double loss = save(saved, 3);
    for (int64_t to = 0; to <= 3; ++to) {
      RunConfig loaded = odd_run();
      loaded.mesh.zero = to;
      EXPECT_EQ(load(loaded, 3), loss) << "ZeRO " << from << " to " << to;
    }
    std::filesystem::remove_all(directory_);
  }
}

TEST_F(Checkpoint, IsWrittenByAllRanksAlike) {
  constexpr int kRanks = 4;
  std::vector<int64_t> bytes(kRanks);
  save(char_run(), kRanks, &bytes);
  const int64_t all = parameter_count(char_run().model) * int64_t{12};
  for (const int64_t b : bytes) {
    EXPECT_NEAR(static_cast<double>(b), static_cast<double>(all) / kRanks,
                0.02 * static_cast<double>(all));
  }
}

}  // namespace
}  // namespace weft
