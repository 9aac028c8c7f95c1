#include "parallel/pipeline/generators.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "core/base/error.h"
#include "parallel/pipeline/validate.h"
#include "tests/parallel/pipeline/grid.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

// The computation of a stage alone.
std::string computes(ScheduleKind kind, const PipelineShape& shape, int stage) {
  const Schedule schedule = make_schedule(kind, shape);
  std::string text;
  for (const Step& step : schedule.stages[stage]) {
    if (!is_transfer(step.act)) text += step_text(schedule, step) + " ";
  }
  return text.substr(0, text.size() - 1);
}

TEST(Generators, GpipeDoesAllForwardsFirst) {
  EXPECT_EQ(computes(ScheduleKind::gpipe, {3, 3}, 1), "F0 F1 F2 B0 B1 B2");
}

TEST(Generators, OneForwardOneBackward) {
  EXPECT_EQ(computes(ScheduleKind::one_f_one_b, {3, 4}, 0), "F0 F1 F2 B0 F3 B1 B2 B3");
  EXPECT_EQ(computes(ScheduleKind::one_f_one_b, {3, 4}, 2), "F0 B0 F1 B1 F2 B2 F3 B3");
}

TEST(Generators, InterleavedTakesGroupsThroughTheChunks) {
  EXPECT_EQ(computes(ScheduleKind::interleaved_1f1b, {2, 4, 2}, 1),
            "F0.0 F1.0 F0.1 B0.1 F1.1 B1.1 F2.0 B0.0 F3.0 B1.0 F2.1 B2.1 F3.1 B3.1 B2.0 B3.0");
}

TEST(Generators, ZeroBubbleDefersWeightGradients) {
  EXPECT_EQ(computes(ScheduleKind::zero_bubble_h1, {3, 4}, 0),
            "F0 F1 F2 B0 W0 F3 B1 W1 B2 W2 B3 W3");
  EXPECT_EQ(computes(ScheduleKind::zero_bubble_h1, {3, 4}, 2),
            "F0 B0 F1 B1 F2 B2 W0 F3 B3 W1 W2 W3");
}

TEST(Generators, ZeroBubbleVGoesDownAndUpAgain) {
  EXPECT_EQ(computes(ScheduleKind::zero_bubble_v, {1, 2, 2}, 0),
            "F0.0 F0.1 B0.1 W0.1 F1.0 B0.0 W0.0 F1.1 B1.1 B1.0 W1.1 W1.0");
  EXPECT_EQ(computes(ScheduleKind::zero_bubble_v, {2, 3, 2}, 0),
            "F0.0 F1.0 F2.0 F0.1 B0.1 W0.1 F1.1 B1.1 W1.1 B0.0 W0.0 F2.1 B2.1 B1.0 W2.1 B2.0 W1.0 "
            "W2.0");
}

class EveryKind : public ::testing::TestWithParam<ScheduleKind> {};
INSTANTIATE_TEST_SUITE_P(Generators, EveryKind, ::testing::ValuesIn(schedule_kinds()),
                         [](const auto& param) {
                           std::string text = "schedule_" + std::string(name(param.param));
                           std::erase(text, '-');
                           return text;
                         });

TEST_P(EveryKind, IsSound) {
  for_each_shape(GetParam(), [](const Schedule& schedule, const PipelineShape&) {
    EXPECT_EQ(find_fault(schedule).value_or("sound"), "sound");
  });
}

// Interleaved alone needs sends that do not wait for their receiver.
TEST(Generators, SendsMayBlockUnlessChunksInterleave) {
  for (ScheduleKind kind :
       {ScheduleKind::gpipe, ScheduleKind::one_f_one_b, ScheduleKind::zero_bubble_h1}) {
    for_each_shape(kind, [](const Schedule& schedule, const PipelineShape&) {
      EXPECT_EQ(find_fault(schedule, Sends::blocking).value_or("sound"), "sound");
    });
  }
  const Schedule interleaved = make_schedule(ScheduleKind::interleaved_1f1b, {2, 4, 2});
  EXPECT_EQ(find_fault(interleaved, Sends::blocking).value_or("sound"),
            "deadlock: stage 0: g0.1> waits for stage 1: >g0.0, which waits in g1.1>");
}

// Gradients of one weight sum to the same bits under every schedule.
TEST_P(EveryKind, AddsWeightGradientsInTheOrderOfTheMicrobatches) {
  for_each_shape(GetParam(), [](const Schedule& schedule, const PipelineShape&) {
    for (const Act adds : {Act::backward, Act::backward_weights}) {
      for (const std::vector<Step>& steps : schedule.stages) {
        std::map<int, int> next;  // by chunk
        for (const Step& step : steps) {
          if (step.act != adds) continue;
          EXPECT_EQ(step.microbatch, next[step.chunk]++);
        }
      }
    }
  });
}

TEST_P(EveryKind, HasANameThatLeadsBackToIt) {
  EXPECT_EQ(schedule_kind(name(GetParam())), GetParam());
}

std::string refusal(ScheduleKind kind, const PipelineShape& shape) {
  try {
    make_schedule(kind, shape);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::config);
    return error.what();
  }
  return "made";
}

TEST(Generators, RefuseWhatCannotBeAndSayWhatCan) {
  const ScheduleKind interleaved = ScheduleKind::interleaved_1f1b;
  EXPECT_EQ(refusal(ScheduleKind::gpipe, {0, 4}), "0 stages of a pipeline; use 1 to 1048576");
  EXPECT_EQ(refusal(ScheduleKind::gpipe, {4, -1}),
            "-1 micro-batches of a pipeline; use 1 to 1048576");
  EXPECT_EQ(refusal(interleaved, {4, 4, 65}), "65 chunks per stage of a pipeline; use 1 to 64");
  EXPECT_EQ(refusal(ScheduleKind::gpipe, {1024, 2048}),
            "1024 stages * 2048 micro-batches * 1 chunks are 2097152 units; a schedule has at most "
            "1048576");
  EXPECT_THAT(refusal(ScheduleKind::zero_bubble_h1, {4, 4, 2}),
              HasSubstr("use chunks 1, or the schedule interleaved"));
  EXPECT_EQ(refusal(interleaved, {4, 4, 1}),
            "the schedule interleaved needs 2 or more chunks per stage; with 1 use the schedule "
            "1f1b");
  EXPECT_EQ(refusal(ScheduleKind::zero_bubble_v, {4, 4, 1}),
            "the schedule zb-v has 2 chunks per stage, not 1; use chunks 2, or the schedule 1f1b");
  EXPECT_EQ(refusal(ScheduleKind::zero_bubble_v, {4, 4, 3}),
            "the schedule zb-v has 2 chunks per stage, not 3; use chunks 2, or the schedule "
            "interleaved");
  EXPECT_THAT(refusal(interleaved, {4, 10, 2}), HasSubstr("4 stages"));
  EXPECT_THAT(refusal(interleaved, {4, 10, 2}), HasSubstr("not 10; try 8 or 12"));
  EXPECT_THAT(refusal(interleaved, {4, 3, 2}), HasSubstr("not 3; try 4"));
}

TEST(Generators, RefuseUnknownNames) {
  try {
    schedule_kind("1f1");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::config);
    EXPECT_STREQ(error.what(),
                 "there is no pipeline schedule '1f1', did you mean '1f1b'?; the schedules are: "
                 "gpipe, 1f1b, interleaved, zb-h1, zb-v");
  }
}

}  // namespace
}  // namespace weft
