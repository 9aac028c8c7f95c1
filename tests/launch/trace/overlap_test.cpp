// Shares of communication that ran under compute, from spans made by hand.
#include "launch/trace/overlap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using Span = SpanRecorder::Span;

Span span(const char* name, const char* category, size_t lane, int64_t begin_ms, int64_t end_ms) {
  constexpr int64_t kMilli = 1'000'000;
  return {.name = name,
          .category = category,
          .lane = lane,
          .begin_ns = begin_ms * kMilli,
          .end_ns = end_ms * kMilli};
}

const std::vector<SpanRecorder::Lane> kLanes{{"compute", nullptr}, {"talk", nullptr}};

TEST(Overlap, CountsWhatLiesUnderOperations) {
  const std::vector<Span> spans{
      span("step 1", "phase", 0, 0, 100),
      span("matmul", "op", 0, 10, 20),
      span("norm", "op", 0, 20, 30),
      span("matmul", "op", 0, 50, 60),
      span("dp gather", "collective", 1, 5, 15),   // 5 of 10
      span("dp gather", "collective", 1, 25, 55),  // 10 of 30
      span("dp gather", "collective", 1, 60, 70),  // none of 10
      span("tp gather", "collective", 0, 30, 50),
  };
  const std::vector<Overlap> rows = overlaps(kLanes, spans);
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].lane, "compute");
  EXPECT_DOUBLE_EQ(rows[0].under_compute, 0);
  EXPECT_EQ(rows[1].collective, "dp gather");
  EXPECT_EQ(rows[1].calls, 3);
  EXPECT_DOUBLE_EQ(rows[1].seconds, 0.05);
  EXPECT_DOUBLE_EQ(rows[1].under_compute, 0.015);
  EXPECT_THAT(overlap_text(rows), ::testing::HasSubstr("50.00            30%\n"));
}

TEST(Overlap, OfNothingIsNothing) {
  EXPECT_TRUE(overlaps(kLanes, {}).empty());
  EXPECT_EQ(overlap_text({}), "");
}

}  // namespace
}  // namespace weft
