#include "launch/show/format_numbers.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft {
namespace {

TEST(FormatNumbers, WritesBytesInBinaryUnits) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "0.977 KiB");
  EXPECT_EQ(format_bytes(1536), "1.5 KiB");
  EXPECT_EQ(format_bytes(int64_t{3} << 40), "3 TiB");
  EXPECT_EQ(format_bytes(int64_t{5000} << 50), "5e+03 PiB");
}

TEST(FormatNumbers, WritesCountsInDecimalUnits) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(950), "950");
  EXPECT_EQ(format_count(999.6), "1k");
  EXPECT_EQ(format_count(12345), "12.3k");
  EXPECT_EQ(format_count(124439808), "124M");
}

TEST(FormatNumbers, WritesDurationsInTwoUnits) {
  EXPECT_EQ(format_duration(0.4), "0s");
  EXPECT_EQ(format_duration(59.4), "59s");
  EXPECT_EQ(format_duration(59.6), "1m00s");
  EXPECT_EQ(format_duration(65), "1m05s");
  EXPECT_EQ(format_duration(3599.6), "1h00m");
  EXPECT_EQ(format_duration(7380), "2h03m");
  EXPECT_EQ(format_duration(86399), "1d00h");
  EXPECT_EQ(format_duration(3 * 86400 + 4 * 3600), "3d04h");
}

TEST(FormatNumbers, DoesNotInventADuration) {
  EXPECT_EQ(format_duration(-1), "?");
  EXPECT_EQ(format_duration(INFINITY), "?");
  EXPECT_EQ(format_duration(NAN), "?");
}

}  // namespace
}  // namespace weft
