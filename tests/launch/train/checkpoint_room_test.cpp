#include "launch/train/checkpoint_room.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(CheckpointRoom, CountsWhatIsThereAtOnce) {
  RunConfig config;
  config.checkpoint.interval = 10;
  config.checkpoint.keep_last = 3;
  EXPECT_EQ(most_checkpoints(config, 0, 1000), 4);  // the new one beside those that are kept
  EXPECT_EQ(most_checkpoints(config, 0, 20), 2);
  EXPECT_EQ(most_checkpoints(config, 15, 20), 1);
  EXPECT_EQ(most_checkpoints(config, 20, 20), 0);
  config.checkpoint.keep_last = 0;  // all
  EXPECT_EQ(most_checkpoints(config, 0, 1000), 100);
  EXPECT_EQ(most_checkpoints(config, 0, 1001), 101);
  config.checkpoint.interval = 0;
  EXPECT_EQ(most_checkpoints(config, 0, 1000), 1);
}

// Of the first of two stages, which hold a parameter each.
int64_t checkpoint_bytes_of(const OptimizerConfig& config, int64_t elements, int64_t boxes) {
  ParameterSet set({.pp = 2}, {});
  set.add({.name = "a", .shape = {elements / 2}, .stages = {0}});
  set.add({.name = "b", .shape = {elements - elements / 2}, .stages = {1}});
  const auto optimizer = make_optimizer(config, 1, set);
  Arena weights("weights"), gradients("gradients"), states("states"), work("work");
  set.allocate(weights, &gradients, DType::f32);
  optimizer->allocate(states, work);
  return checkpoint_bytes(set, *optimizer, boxes);
}

TEST(CheckpointRoom, KnowsTheSizeOfTheState) {
  OptimizerConfig config;
  const int64_t rest = checkpoint_bytes_of(config, 0, 0);
  EXPECT_EQ(checkpoint_bytes_of(config, 1000, 0) - rest, 12000);
  EXPECT_GT(checkpoint_bytes_of(config, 1000, 10) - rest, 12000);
  config.state_dtype = OptimizerConfig::StateType::bf16;
  EXPECT_EQ(checkpoint_bytes_of(config, 1000, 0) - rest, 8000);
}

TEST(CheckpointRoom, SaysTheNumbersWhenThereIsTooLittle) {
  constexpr int64_t kGigabyte = 1'000'000'000;
  EXPECT_EQ(room_notice("runs/a", 6 * kGigabyte, 4, 0, kGigabyte * 3 / 2), "");
  EXPECT_EQ(room_notice("runs/a", 3 * kGigabyte, 4, 2, kGigabyte * 3 / 2), "");
  EXPECT_EQ(room_notice("runs/a", 0, 4, 7, kGigabyte), "");
  EXPECT_THAT(room_notice("runs/a", 2 * kGigabyte, 4, 1, kGigabyte),
              AllOf(HasSubstr("2.0 GB of disk are free in runs/a"), HasSubstr("need 3.0 GB"),
                    HasSubstr("4 at once of 1.0 GB each, 1 there now"), HasSubstr("keep_last")));
}

}  // namespace
}  // namespace weft
