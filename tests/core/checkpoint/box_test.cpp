#include "core/checkpoint/box.h"

#include <gtest/gtest.h>

#include <vector>

namespace weft {
namespace {

TEST(Box, KnowsWhatLiesWithinATensor) {
  EXPECT_TRUE(lies_within({{1, 0}, {2, 4}}, {3, 4}));
  EXPECT_TRUE(lies_within({{}, {}}, {}));
  EXPECT_FALSE(lies_within({{2, 0}, {2, 4}}, {3, 4}));
  EXPECT_FALSE(lies_within({{0}, {3}}, {3, 4}));
  EXPECT_FALSE(lies_within({{INT64_MAX, 0}, {INT64_MAX, 4}}, {3, 4}));
}

TEST(Box, Intersects) {
  EXPECT_EQ(intersection({{0, 0}, {4, 4}}, {{2, 3}, {4, 4}}), (Box{{2, 3}, {2, 1}}));
  EXPECT_EQ(intersection({{0}, {4}}, {{4}, {4}}), std::nullopt);
  EXPECT_EQ(intersection({{}, {}}, {{}, {}}), (Box{{}, {}}));
}

TEST(Box, CoverageNamesWhatOverlapsAndCountsWhatIsMissing) {
  const Shape shape{4, 6};
  const std::vector<Box> quarters{
      {{2, 3}, {2, 3}}, {{0, 0}, {2, 3}}, {{0, 3}, {2, 3}}, {{2, 0}, {2, 3}}};
  EXPECT_EQ(coverage_fault(shape, quarters), std::nullopt);
  const std::vector<Box> overlapping{{{0, 0}, {4, 3}}, {{3, 2}, {1, 4}}};
  EXPECT_EQ(coverage_fault(shape, overlapping), "boxes [0:4, 0:3] and [3:4, 2:6] overlap");
  EXPECT_EQ(coverage_fault(shape, std::vector<Box>{{{0, 0}, {4, 3}}}),
            "12 of 24 elements are in no box");
  EXPECT_EQ(coverage_fault({}, std::vector<Box>{{{}, {}}}), std::nullopt);
  EXPECT_NE(coverage_fault({}, std::vector<Box>{{{}, {}}, {{}, {}}}), std::nullopt);
}

std::vector<CopyRun> runs(const Box& source, const Box& target, const Box& window) {
  std::vector<CopyRun> result;
  for_each_run(source, target, window, [&](const CopyRun& run) { result.push_back(run); });
  return result;
}

TEST(Box, RunsAreAsLongAsBothArraysAllow) {
  const Box all{{0, 0, 0}, {3, 4, 5}};
  EXPECT_EQ(runs(all, all, all).size(), 1u);
  const Box rows{{1, 0, 0}, {2, 4, 5}};
  const auto one = runs(all, rows, rows);
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].source, 20);
  EXPECT_EQ(one[0].target, 0);
  EXPECT_EQ(one[0].count, 40);
  const Box middle{{0, 1, 0}, {3, 2, 5}};
  const auto three = runs(all, middle, middle);
  ASSERT_EQ(three.size(), 3u);
  EXPECT_EQ(three[2].source, 45);
  EXPECT_EQ(three[2].target, 20);
  EXPECT_EQ(three[2].count, 10);
  EXPECT_EQ(runs({{}, {}}, {{}, {}}, {{}, {}}).at(0).count, 1);
}

TEST(Box, RunsMoveEveryElementToItsPlace) {
  const Box source{{1, 2, 3}, {3, 4, 2}}, target{{0, 3, 2}, {3, 2, 4}};
  const Box window = *intersection(source, target);
  const auto value = [](int64_t i, int64_t j, int64_t k) { return i * 100 + j * 10 + k; };
  std::vector<int64_t> from, to(24, -1);
  for (int64_t i = 1; i < 4; ++i) {
    for (int64_t j = 2; j < 6; ++j) {
      for (int64_t k = 3; k < 5; ++k) from.push_back(value(i, j, k));
    }
  }
  for (const CopyRun& run : runs(source, target, window)) {
    for (int64_t n = 0; n < run.count; ++n) {
      to[static_cast<size_t>(run.target + n)] = from[static_cast<size_t>(run.source + n)];
    }
  }
  int64_t moved = 0;
  for (int64_t n = 0; n < 24; ++n) {
    const int64_t i = n / 8, j = 3 + n / 4 % 2, k = 2 + n % 4;
    const bool inside = i >= 1 && k >= 3 && k < 5;
    EXPECT_EQ(to[static_cast<size_t>(n)], inside ? value(i, j, k) : -1) << i << j << k;
    moved += inside;
  }
  EXPECT_EQ(moved, window.elements());
}

}  // namespace
}  // namespace weft
