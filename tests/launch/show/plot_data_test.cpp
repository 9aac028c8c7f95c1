#include "launch/show/plot_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace weft {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(Ticks, AreRoundAndInside) {
  EXPECT_THAT(ticks(0, 2000, 8), ElementsAre(0, 500, 1000, 1500, 2000));
  EXPECT_THAT(ticks(1, 10, 5), ElementsAre(2, 4, 6, 8, 10));
  EXPECT_THAT(ticks(-1, 1, 4), ElementsAre(-1, -0.5, 0, 0.5, 1));
  EXPECT_THAT(ticks(0.1, 0.3, 2),
              ElementsAre(DoubleNear(0.1, 1e-12), DoubleNear(0.2, 1e-12), DoubleNear(0.3, 1e-12)));
}

TEST(Ticks, StayCloseToTheNumberWantedForAnyRange) {
  for (double low : {-3.7, 0.0, 1e-3, 250.0}) {
    for (double width = 1e-6; width < 1e9; width *= 1.7) {
      const std::vector<double> values = ticks(low, low + width, 6);
      EXPECT_GE(values.size(), 2U) << low << " + " << width;
      EXPECT_LE(values.size(), 7U) << low << " + " << width;
      for (double value : values) {
        EXPECT_GE(value, low - width * 1e-6);
        EXPECT_LE(value, low + width * (1 + 1e-6));
      }
    }
  }
}

TEST(TickLabel, IsShort) {
  EXPECT_EQ(tick_label(0), "0");
  EXPECT_EQ(tick_label(2.5), "2.5");
  EXPECT_EQ(tick_label(0.30000000000000004), "0.3");
  EXPECT_EQ(tick_label(1500), "1500");
  EXPECT_EQ(tick_label(20000), "20k");
  EXPECT_EQ(tick_label(1.5e6), "1.5M");
}

TEST(Thin, KeepsShortSeriesAndDropsWhatIsNotFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<Point> points = {{1, 2}, {2, nan}, {3, INFINITY}, {4, 5}};
  const std::vector<Point> thinned = thin(points, 10);
  ASSERT_EQ(thinned.size(), 2U);
  EXPECT_EQ(thinned[1].x, 4);
  EXPECT_EQ(thinned[1].y, 5);
}

TEST(Thin, TakesMeansOfNeighbours) {
  std::vector<Point> points;
  for (int i = 0; i < 1000; ++i) points.push_back({i * 1.0, i * 2.0});
  const std::vector<Point> thinned = thin(points, 10);
  ASSERT_EQ(thinned.size(), 10U);
  EXPECT_DOUBLE_EQ(thinned[0].x, 49.5);
  EXPECT_DOUBLE_EQ(thinned[9].y, 2 * 949.5);
}

TEST(Smooth, WeighsNeighboursByHalfPerHalfLife) {
  const std::vector<Point> smoothed = smooth(std::vector<Point>{{0, 0}, {1, 4}, {2, 0}}, 1);
  ASSERT_EQ(smoothed.size(), 3U);
  EXPECT_DOUBLE_EQ(smoothed[0].y, 2.0 / 1.75);
  EXPECT_DOUBLE_EQ(smoothed[1].y, 4.0 / 2.0);
  EXPECT_DOUBLE_EQ(smoothed[2].y, 2.0 / 1.75);
  EXPECT_THAT(smooth({}, 4), IsEmpty());
}

TEST(Smooth, DoesNotLagBehindASlope) {
  std::vector<Point> points;
  for (int i = 0; i <= 400; ++i) points.push_back({i * 1.0, 1000.0 - i});
  const std::vector<Point> smoothed = smooth(points, 4);
  for (size_t i = 150; i <= 250; ++i) EXPECT_NEAR(smoothed[i].y, points[i].y, 1e-6);
}

}  // namespace
}  // namespace weft
