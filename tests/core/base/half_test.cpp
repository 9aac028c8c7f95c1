#include "core/base/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft {
namespace {

TEST(Half, AgreesWithTheDefinitionOnEveryPattern) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    const int exponent = (h >> 10) & 0x1f;
    const int mantissa = h & 0x3ff;
    const float sign = (h & 0x8000) != 0 ? -1.0f : 1.0f;
    const float value = from_f16(h);
    EXPECT_EQ(std::signbit(value), sign < 0);
    if (exponent == 31) {
      EXPECT_EQ(std::isnan(value), mantissa != 0);
      EXPECT_EQ(std::isinf(value), mantissa == 0);
    } else {
      const double scaled =
          exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
      EXPECT_EQ(value, sign * static_cast<float>(scaled)) << bits;
    }
  }
  EXPECT_EQ(from_bf16(0x3f80), 1.0f);
  EXPECT_EQ(from_bf16(0xc049), -3.140625f);
}

}  // namespace
}  // namespace weft
