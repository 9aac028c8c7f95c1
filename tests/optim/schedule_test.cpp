#include "optim/schedule.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

ScheduleConfig schedule(ScheduleConfig::Kind kind) {
  ScheduleConfig s;
  s.kind = kind;
  s.peak_lr = 1e-3;
  s.min_lr = 1e-4;
  s.warmup_steps = 100;
  return s;
}

TEST(Schedule, EveryKindWarmsUpLinearly) {
  for (const auto kind : {ScheduleConfig::Kind::cosine, ScheduleConfig::Kind::linear,
                          ScheduleConfig::Kind::constant, ScheduleConfig::Kind::wsd}) {
    const ScheduleConfig s = schedule(kind);
    EXPECT_DOUBLE_EQ(learning_rate(s, 1, 2000), 1e-5);
    EXPECT_DOUBLE_EQ(learning_rate(s, 50, 2000), 5e-4);
    EXPECT_DOUBLE_EQ(learning_rate(s, 100, 2000), 1e-3);
  }
}

TEST(Schedule, DecaysToTheEndAndStays) {
  const ScheduleConfig cosine = schedule(ScheduleConfig::Kind::cosine);
  EXPECT_NEAR(learning_rate(cosine, 1050, 2000), 5.5e-4, 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 2000, 2000), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 9000, 2000), 1e-4);
  const ScheduleConfig linear = schedule(ScheduleConfig::Kind::linear);
  EXPECT_NEAR(learning_rate(linear, 575, 2000), 1e-3 - 9e-4 / 4, 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate(linear, 2000, 2000), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(schedule(ScheduleConfig::Kind::constant), 1999, 2000), 1e-3);
}

TEST(Schedule, WsdIsStableThenDecays) {
  ScheduleConfig s = schedule(ScheduleConfig::Kind::wsd);
  s.wsd_decay_fraction = 0.25;
  EXPECT_DOUBLE_EQ(learning_rate(s, 1500, 2000), 1e-3);
  EXPECT_NEAR(learning_rate(s, 1750, 2000), 5.5e-4, 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate(s, 2000, 2000), 1e-4);
}

TEST(Schedule, DecayStepsMayEndBeforeTheRun) {
  ScheduleConfig s = schedule(ScheduleConfig::Kind::cosine);
  s.decay_steps = 500;
  EXPECT_DOUBLE_EQ(learning_rate(s, 500, 2000), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(s, 1500, 2000), 1e-4);
}

}  // namespace
}  // namespace weft
