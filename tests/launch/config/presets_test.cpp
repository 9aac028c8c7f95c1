// The configurations that come with the program.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/model/gpt_specs.h"
#include "launch/config/load.h"

namespace weft {
namespace {

const std::string kConfigs = std::string(WEFT_SOURCE_DIR) + "/configs";

int64_t parameters_of(const std::string& model) {
  return parameter_count(load_config(kConfigs + "/models/" + model + ".yaml").model);
}

TEST(Presets, HaveTheParameterCountsOfGpt2) {
  EXPECT_EQ(parameters_of("gpt2-124m"), 124'439'808);
  EXPECT_EQ(parameters_of("gpt2-350m"), 354'823'168);
  EXPECT_EQ(parameters_of("gpt2-774m"), 774'030'080);
  EXPECT_EQ(parameters_of("gpt2-1558m"), 1'557'611'200);
}

TEST(Presets, ThatAreModelsLoadAndCount) {
  for (const auto& entry : std::filesystem::directory_iterator(kConfigs + "/models")) {
    GptConfig model = load_config(entry.path().string()).model;
    model.vocab_size = model.vocab_size.value_or(65);
    EXPECT_GT(parameter_count(model), 0) << entry.path();
  }
}

TEST(Presets, ThatAreRunsCanStartOnOneAndTwoRanks) {
  for (const auto& entry : std::filesystem::directory_iterator(kConfigs + "/runs")) {
    for (const int64_t world_size : {1, 2}) {
      EXPECT_NO_THROW(load_config(entry.path().string(), {}, world_size)) << entry.path();
    }
  }
}

TEST(Presets, ShakespeareIsTheCpuSettingOfNanoGpt) {
  const RunConfig config = load_config(kConfigs + "/runs/shakespeare-char.yaml");
  EXPECT_EQ(config.model.context_length, 64);
  EXPECT_EQ(config.model.layers, 4);
  EXPECT_EQ(config.model.heads, 4);
  EXPECT_EQ(config.model.width, 128);
  EXPECT_FALSE(config.model.bias);
  EXPECT_EQ(config.model.dropout, 0);
  EXPECT_EQ(config.train.batch_size, 12);
  EXPECT_EQ(config.train.steps, 2000);
  EXPECT_EQ(config.train.clip_norm, 1);
  EXPECT_EQ(config.schedule.kind, ScheduleConfig::Kind::cosine);
  EXPECT_EQ(config.schedule.peak_lr, 1e-3);
  EXPECT_EQ(config.schedule.min_lr, 1e-4);
  EXPECT_EQ(config.schedule.end_step(config.train.steps), 2000);
  EXPECT_EQ(config.schedule.warmup_steps, 100);
  EXPECT_EQ(config.optimizer.beta1, 0.9);
  EXPECT_EQ(config.optimizer.beta2, 0.99);
  EXPECT_EQ(config.optimizer.weight_decay, 0.1);
}

// width 8, mlp 32, vocabulary 11, context 5, one layer; sums written out from the architecture.
TEST(ParameterCount, CountsEveryPart) {
  GptConfig config;
  config.vocab_size = 11;
  config.context_length = 5;
  config.layers = 1;
  config.heads = 2;
  config.width = 8;
  const int64_t embeddings = 11 * 8 + 5 * 8;
  const int64_t weights = 8 * 24 + 8 * 8 + 8 * 32 + 32 * 8 + 3 * 8;
  const int64_t biases = 24 + 8 + 32 + 8 + 3 * 8;
  EXPECT_EQ(parameter_count(config), embeddings + weights + biases);
  config.bias = false;
  EXPECT_EQ(parameter_count(config), embeddings + weights);
  config.tied_head = false;
  EXPECT_EQ(parameter_count(config), embeddings + weights + 11 * 8);
  config.position = GptConfig::Position::sinusoidal;
  EXPECT_EQ(parameter_count(config), 11 * 8 + weights + 11 * 8);
  config.mlp_width = 16;
  EXPECT_EQ(parameter_count(config), 11 * 8 + weights + 11 * 8 - 2 * 8 * 16);
}

}  // namespace
}  // namespace weft
