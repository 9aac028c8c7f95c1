#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "launch/plan/timed_schedule.h"
#include "parallel/pipeline/generators.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

std::string text(ScheduleKind kind, const PipelineShape& shape, int width,
                 const StepCosts& costs = {}) {
  return schedule_text(time_schedule(make_schedule(kind, shape), costs), width);
}

TEST(ScheduleText, DrawsStagesOverTime) {
  EXPECT_EQ(text(ScheduleKind::one_f_one_b, {2, 3}, 60),
            "1f1b: 2 stages, 3 micro-batches\n"
            "0 F0--F1--........B0======F2--B1======....B2====== | 2\n"
            "1 ....F0--B0======F1--B1======F2--B2======........ | 1\n"
            "F forward 1, B backward 2, . idle; a transfer takes 0\n"
            "12 time units, 3 of them idle on every stage: bubble 25.0 %\n"
            "in flight at the peak (right): 2 of 3 micro-batches\n");
}

TEST(ScheduleText, ShowsWeightGradientsChunksAndTransfers) {
  EXPECT_THAT(text(ScheduleKind::zero_bubble_h1, {2, 2}, 60, {1, 2, 1, 0.5}),
              HasSubstr("\n1 ......F0--B0======F1--B1======W0~~W1~~...... | 2\n"
                        "F forward 1, B input gradient 2, W weight gradient 1, . idle; a transfer "
                        "takes 0.5\n"));
  const std::string chunks = text(ScheduleKind::interleaved_1f1b, {2, 2, 2}, 90);
  EXPECT_THAT(chunks, HasSubstr("\n0 F0.0-F1.0-F0.1-F1.1-"));
  EXPECT_THAT(chunks, HasSubstr("B1.1===="));
}

TEST(ScheduleText, ShortensLabelsThatDoNotFit) {
  EXPECT_THAT(text(ScheduleKind::interleaved_1f1b, {2, 2, 2}, 40), HasSubstr("F0F1F0"));
  EXPECT_THAT(text(ScheduleKind::one_f_one_b, {2, 3}, 20), HasSubstr("0 FF..B0FB1.B2 | 2\n"));
}

TEST(ScheduleText, StaysWithinItsWidth) {
  for (ScheduleKind kind : schedule_kinds()) {
    const int chunks = std::min(3, traits(kind).max_chunks);
    for (int width : {20, 33, 80, 200}) {
      std::istringstream lines(text(kind, {12, 36, chunks}, width, {1.3, 2.1, 0.7, 0.2}));
      std::vector<size_t> rows;
      for (std::string line; std::getline(lines, line);) {
        if (line.find(" | ") != std::string::npos) rows.push_back(line.rfind(" | "));
      }
      ASSERT_EQ(rows.size(), 12u);
      EXPECT_LE(rows[0] + 3, static_cast<size_t>(width));
      EXPECT_EQ(std::count(rows.begin(), rows.end(), rows[0]), 12);
    }
  }
}

TEST(ScheduleText, SurvivesStepsThatCostNothing) {
  EXPECT_THAT(text(ScheduleKind::gpipe, {2, 2}, 40, {0, 0, 0}), HasSubstr("\n0 . | 2\n1 . | 2\n"));
  EXPECT_THAT(text(ScheduleKind::gpipe, {2, 1}, 40, {0, 1, 0}), HasSubstr("\n1 B0==.... | 1\n"));
}

}  // namespace
}  // namespace weft
