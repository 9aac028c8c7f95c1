// What a checkpoint says of its run is believed within limits.
#include "launch/step/run_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "core/base/error.h"
#include "launch/config/load.h"
#include "parallel/comm/bootstrap.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_NE(error.kind(), ErrorKind::internal);
    return error.what();
  }
  return "";
}

RunState some_state() {
  RunState s;
  s.step = 10;
  s.consumed_samples = 40;
  s.updates.made = 10;
  s.batch_size = 4;
  s.sequence_length = 32;
  return s;
}

TEST(RunState, IsReadBackAsWritten) {
  RunState stopped = some_state();
  EXPECT_FALSE(parse_run_state(to_json(stopped), "here").evaluation_is_owed);
  stopped.evaluation_is_owed = true;
  const RunState s = parse_run_state(to_json(stopped), "here");
  EXPECT_TRUE(s.evaluation_is_owed);
  EXPECT_EQ(s.step, 10);
  EXPECT_EQ(s.consumed_samples, 40);
}

TEST(RunState, NumbersOutOfRangeAreNamed) {
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  const auto refused = [](const char* key, const std::function<void(RunState&)>& change) {
    RunState s = some_state();
    change(s);
    EXPECT_THAT(refusal([&] { parse_run_state(to_json(s), "step_00000010"); }),
                AllOf(HasSubstr("step_00000010"), HasSubstr(key)));
  };
  for (const int64_t value : {int64_t{-1}, int64_t{1'000'000'000'000'000'000}, kLargest}) {
    refused("step is", [&](RunState& s) { s.step = value; });
    refused("consumed_samples is", [&](RunState& s) { s.consumed_samples = value; });
    refused("updates is", [&](RunState& s) { s.updates.made = value; });
    refused("skipped_steps is", [&](RunState& s) { s.updates.skipped = value; });
    refused("best_step is", [&](RunState& s) { s.best_step = value; });
    refused("batch_size is", [&](RunState& s) { s.batch_size = value; });
    refused("sequence_length is", [&](RunState& s) { s.sequence_length = value; });
  }
  refused("loss_scale is", [](RunState& s) { s.updates.loss_scale = 0.0F; });
  refused("loss_scale is",
          [](RunState& s) { s.updates.loss_scale = std::numeric_limits<float>::infinity(); });
}

TEST(AttachedConfig, IncludesNothing) {
  const std::string directory = fmt::format("{}weft-attached-{}", ::testing::TempDir(), getpid());
  std::filesystem::create_directories(directory);
  std::ofstream(directory + "/secret.yaml") << "password: 1\n";
  const std::unique_ptr<Bootstrap> alone = make_self_bootstrap();
  const auto checkpoint = [&](int64_t step, const std::string& config) {
    const std::vector<Attachment> attached{{kAttachedConfig, config}};
    return CheckpointReader::open(
        save_checkpoint({.directory = directory, .step = step, .attachments = attached}, *alone)
            .path);
  };
  RunConfig config;
  config.name = "mine";
  EXPECT_EQ(attached_config(checkpoint(1, to_yaml(config))).name, "mine");
  const CheckpointReader reader =
      checkpoint(2, "include: " + directory + "/secret.yaml\nname: x\n");
  EXPECT_THAT(refusal([&] { attached_config(reader); }),
              AllOf(HasSubstr("config.yaml:1:1: include: not in a configuration"),
                    Not(HasSubstr("password"))));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace weft
