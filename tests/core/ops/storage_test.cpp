// Conversions between f32 and the 16-bit storage types.
#include "core/kernels/storage.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/philox.h"

namespace weft::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(Storage, LoadsEveryValueAndStoresItBack) {
  for (uint32_t i = 0; i < 0x10000; ++i) {
    const auto bits = static_cast<uint16_t>(i);
    const float b = load(Bf16{bits});
    const float h = load(F16{bits});
    if (std::isnan(b)) {
      EXPECT_TRUE(std::isnan(from_bf16(bits)));
      EXPECT_TRUE(std::isnan(load(store<Bf16>(b))));
    } else {
      EXPECT_EQ(b, from_bf16(bits));
      EXPECT_EQ(store<Bf16>(b).bits, bits);
    }
    if (std::isnan(h)) {
      EXPECT_TRUE(std::isnan(from_f16(bits)));
      EXPECT_TRUE(std::isnan(load(store<F16>(h))));
    } else {
      EXPECT_EQ(h, from_f16(bits));
      EXPECT_EQ(std::signbit(h), (bits & 0x8000) != 0);
      EXPECT_EQ(store<F16>(h).bits, bits);
    }
  }
}

// The nearer of the two neighbours of |x| among the values of S, the even one of a tie.
template <typename S>
uint16_t nearest(float x, uint16_t infinity) {
  uint16_t low = 0;
  for (uint16_t step = 0x4000; step > 0; step = static_cast<uint16_t>(step / 2)) {
    const auto next = static_cast<uint16_t>(low + step);
    if (next < infinity && load(S{next}) <= std::fabs(x)) low = next;
  }
  const auto high = static_cast<uint16_t>(low + 1);
  const double below = load(S{low});
  // What comes after the largest finite value, as if exponents went on.
  const double above =
      high < infinity ? static_cast<double>(load(S{high}))
                      : 2 * below - static_cast<double>(load(S{static_cast<uint16_t>(low - 1)}));
  const double to_low = std::fabs(static_cast<double>(x)) - below;
  const double to_high = above - std::fabs(static_cast<double>(x));
  uint16_t bits = to_low < to_high ? low : high;
  if (to_low == to_high) bits = low % 2 == 0 ? low : high;
  return static_cast<uint16_t>(bits | (std::signbit(x) ? 0x8000 : 0));
}

TEST(Storage, RoundsToNearestEven) {
  for (uint64_t i = 0; i < 200000; ++i) {
    // Every exponent of f16 and half of its subnormals' beside it, both signs.
    const uint32_t word = random_word({.seed = 3, .stream = 0, .step = 0}, i);
    const float magnitude =
        std::ldexp(1.0f + static_cast<float>(word >> 9) * 0x1p-23f, static_cast<int>(i % 44) - 27);
    const float x = word % 2 == 0 ? magnitude : -magnitude;
    EXPECT_EQ(store<Bf16>(x).bits, nearest<Bf16>(x, 0x7F80)) << x;
    EXPECT_EQ(store<F16>(x).bits, nearest<F16>(x, 0x7C00)) << x;
    // Exactly between two values.
    const auto half = [](float v, uint32_t bit) {
      return std::bit_cast<float>((std::bit_cast<uint32_t>(v) & ~(2 * bit - 1)) | bit);
    };
    EXPECT_EQ(store<Bf16>(half(x, 1u << 15)).bits, nearest<Bf16>(half(x, 1u << 15), 0x7F80)) << x;
    EXPECT_EQ(store<F16>(half(x, 1u << 12)).bits, nearest<F16>(half(x, 1u << 12), 0x7C00)) << x;
  }
}

TEST(Storage, KeepsInfinityAndOverflowsToIt) {
  EXPECT_EQ(store<F16>(65504.0f).bits, 0x7BFF);
  EXPECT_EQ(store<F16>(65519.0f).bits, 0x7BFF);
  EXPECT_EQ(store<F16>(65520.0f).bits, 0x7C00);
  EXPECT_EQ(store<F16>(-1e9f).bits, 0xFC00);
  EXPECT_EQ(store<F16>(kInfinity).bits, 0x7C00);
  EXPECT_EQ(store<Bf16>(kInfinity).bits, 0x7F80);
  EXPECT_EQ(store<Bf16>(std::numeric_limits<float>::max()).bits, 0x7F80);
  EXPECT_EQ(store<F16>(0x1p-25f).bits, 0);
  EXPECT_EQ(store<F16>(-0.0f).bits, 0x8000);
}

TEST(StochasticStorage, KeepsWhatBf16HoldsAndWhatIsNotFinite) {
  for (const uint32_t word : {0u, 0x7FFFFFFFu, 0xFFFFFFFFu}) {
    EXPECT_EQ(store_stochastic(1.5f, word).bits, store<Bf16>(1.5f).bits);
    EXPECT_EQ(store_stochastic(-0.0f, word).bits, 0x8000);
    EXPECT_EQ(store_stochastic(kInfinity, word).bits, 0x7F80);
    EXPECT_TRUE(std::isnan(load(store_stochastic(std::nanf(""), word))));
  }
}

// 1 + 2^-10 lies an eighth of the way from 1 to the next bf16. The mean of n draws is off by
// sqrt(1/8 * 7/8 / n) steps in a standard deviation; five of them are allowed.
TEST(StochasticStorage, KeepsTheMean) {
  constexpr int kDraws = 1 << 16;
  for (const float sign : {1.0f, -1.0f}) {
    int up = 0;
    for (int i = 0; i < kDraws; ++i) {
      const uint32_t word =
          random_word({.seed = 9, .stream = 1, .step = 4}, static_cast<uint64_t>(i));
      const float got = load(store_stochastic(sign * (1 + 0x1p-10f), word));
      ASSERT_TRUE(got == sign || got == sign * (1 + 0x1p-7f)) << got;
      up += got != sign;
    }
    const double deviation = std::sqrt(kDraws * 7.0 / 64);
    EXPECT_NEAR(up, kDraws / 8.0, 5 * deviation);
  }
}

}  // namespace
}  // namespace weft::kernels
