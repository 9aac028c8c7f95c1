#include <gtest/gtest.h>

#include <string>

#include "core/base/error.h"
#include "launch/plan/timed_schedule.h"
#include "parallel/pipeline/generators.h"

namespace weft {
namespace {

std::string svg(ScheduleKind kind, const PipelineShape& shape, const StepCosts& costs = {}) {
  return schedule_svg(time_schedule(make_schedule(kind, shape), costs));
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST(ScheduleSvg, DrawsEveryComputationOnceWithItsTimes) {
  const std::string picture = svg(ScheduleKind::zero_bubble_h1, {3, 5});
  for (const char* style : {"F", "B", "W"}) {
    EXPECT_EQ(count(picture, std::string("<rect class=\"") + style + "\" fill-opacity=\"1.00\""),
              15);
  }
  EXPECT_EQ(count(picture, "<title>F4: "), 3);
  EXPECT_EQ(count(picture, "<title>B0: 3 to 4</title>"), 1);  // on the last stage
  EXPECT_EQ(count(picture, ">weight gradient</text>"), 1);
  EXPECT_EQ(count(picture, ">stage 2</text>"), 1);
  EXPECT_EQ(count(picture, "bubble 11.8 %"), 1);
}

TEST(ScheduleSvg, IsOneDocumentInTwoPalettes) {
  const std::string picture = svg(ScheduleKind::one_f_one_b, {4, 8});
  EXPECT_EQ(picture.rfind("<svg ", 0), 0u);
  EXPECT_EQ(picture.substr(picture.size() - 7), "</svg>\n");
  for (const char* tag : {"text", "title", "style", "svg"}) {
    EXPECT_EQ(
        count(picture, std::string("<") + tag + " ") + count(picture, std::string("<") + tag + ">"),
        count(picture, std::string("</") + tag + ">"))
        << tag;
  }
  EXPECT_EQ(count(picture, "prefers-color-scheme: dark"), 1);
  EXPECT_EQ(count(picture, "nan"), 0);
  EXPECT_EQ(count(picture, "weight gradient"), 0);
}

TEST(ScheduleSvg, PalesLaterChunks) {
  const std::string picture = svg(ScheduleKind::interleaved_1f1b, {2, 2, 3});
  EXPECT_EQ(count(picture, "class=\"F\" fill-opacity=\"1.00\""), 4);
  EXPECT_EQ(count(picture, "class=\"F\" fill-opacity=\"0.70\""), 4);
  EXPECT_EQ(count(picture, "class=\"F\" fill-opacity=\"0.40\""), 4);
}

TEST(ScheduleSvg, LeavesOutLabelsThatDoNotFit) {
  const std::string wide = svg(ScheduleKind::gpipe, {2, 8});
  const std::string narrow = svg(ScheduleKind::gpipe, {2, 200});
  EXPECT_EQ(count(wide, "class=\"label\""), 32);
  EXPECT_EQ(count(narrow, "class=\"label\""), 0);
}

TEST(ScheduleSvg, SurvivesStepsThatCostNothing) {
  const std::string picture = svg(ScheduleKind::gpipe, {2, 2}, {0, 0, 0});
  EXPECT_EQ(count(picture, "nan"), 0);
  EXPECT_EQ(count(picture, "inf"), 0);
}

TEST(ScheduleSvg, RefusesPicturesNobodyCanSee) {
  EXPECT_THROW(svg(ScheduleKind::gpipe, {100, 101}), Error);
  EXPECT_EQ(count(svg(ScheduleKind::gpipe, {100, 100}), "<rect class=\"F\" fill"), 10000);
}

}  // namespace
}  // namespace weft
