#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/error.h"
#include "launch/commands/commands.h"
#include "launch/config/help.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

const std::string kRun = std::string(WEFT_SOURCE_DIR) + "/configs/runs/shakespeare-char.yaml";

// Runs `weft config ARGUMENTS...` and returns what it prints.
std::string config_command(std::vector<std::string> arguments) {
  CommandLine line("weft", "test", "0");
  int exit_code = 0;
  add_config_command(line.root(), exit_code);
  arguments.insert(arguments.begin(), "config");
  ::testing::internal::CaptureStdout();
  try {
    line.parse(arguments);
  } catch (...) {
    ::testing::internal::GetCapturedStdout();
    throw;
  }
  EXPECT_EQ(exit_code, 0);
  return ::testing::internal::GetCapturedStdout();
}

std::string config_error(const std::vector<std::string>& arguments) {
  try {
    return "no error: " + config_command(arguments);
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 2);
    return error.what();
  }
}

TEST(ConfigCommand, ShowsTheEffectiveConfigurationWithOverrides) {
  const std::string yaml = config_command(
      {"show", kRun, "--set", "train.steps=300", "--set", "data.train=[a, b]", "--set=name=other"});
  EXPECT_THAT(yaml, HasSubstr("name: other\n"));
  EXPECT_THAT(yaml, HasSubstr("\n  steps: 300\n"));
  EXPECT_THAT(yaml, HasSubstr("\n  train: [a, b]\n"));
  EXPECT_THAT(yaml, HasSubstr("\n  context_length: 64\n"));
}

TEST(ConfigCommand, ChecksAgainstANumberOfRanks) {
  EXPECT_THAT(config_command({"show", kRun, "--ranks", "4"}), HasSubstr("batch_size: 12\n"));
  EXPECT_THAT(config_error({"show", kRun, "--ranks", "5"}),
              HasSubstr("train.batch_size: 12 is not a multiple of 5 data-parallel ranks"));
}

TEST(ConfigCommand, RefusesWhatIsWrong) {
  EXPECT_THAT(config_error({"show", kRun, "--set", "train.stps=1"}),
              HasSubstr("--set #1: unknown key 'train.stps'; did you mean 'train.steps'?"));
  EXPECT_THAT(config_error({"show", "no.yaml"}), HasSubstr("no.yaml: no such file"));
  EXPECT_THAT(config_error({"help", "modell"}), HasSubstr("did you mean 'model'?"));
}

TEST(ConfigCommand, PrintsHelpAndDocumentation) {
  EXPECT_EQ(config_command({"help"}), config_help());
  EXPECT_EQ(config_command({"help", "mesh"}), config_help("mesh"));
  EXPECT_EQ(config_command({"docs"}), config_docs());
}

}  // namespace
}  // namespace weft
