#include "core/kernels/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace weft::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The distance between a float result and the exact value, in units of the last place there.
double ulps(float got, double want) {
  if (static_cast<double>(got) == want) return 0;
  const double magnitude = std::max(std::fabs(want), 0x1p-126);
  return std::fabs(got - want) / std::exp2(std::floor(std::log2(magnitude)) - 23);
}

// The largest error of f against the double-precision function over [low, high].
template <typename F, typename Exact>
double worst(float low, float high, F f, Exact exact) {
  double error = 0;
  constexpr int kSteps = 200000;
  for (int i = 0; i <= kSteps; ++i) {
    const float x = low + (high - low) * (static_cast<float>(i) / kSteps);
    error = std::max(error, ulps(f(x), exact(static_cast<double>(x))));
  }
  return error;
}

const auto fast_exp = [](float x) { return exp(x); };
const auto exact_exp = [](double x) { return std::exp(x); };
const auto fast_tanh = [](float x) { return tanh(x); };
const auto exact_tanh = [](double x) { return std::tanh(x); };
const auto fast_erf = [](float x) { return erf(x); };
const auto exact_erf = [](double x) { return std::erf(x); };

TEST(KernelMath, ExpIsWithinTwoUlp) {
  EXPECT_LE(worst(-87.3f, 88.7f, fast_exp, exact_exp), 2.0);
  EXPECT_LE(worst(-1.0f, 1.0f, fast_exp, exact_exp), 2.0);
  EXPECT_LE(worst(-104.0f, -87.3f, fast_exp, exact_exp), 2.0) << "subnormal results";
}

TEST(KernelMath, TanhIsWithinFourUlp) {
  EXPECT_LE(worst(-10.0f, 10.0f, fast_tanh, exact_tanh), 4.0);
  EXPECT_LE(worst(-1.0f, 1.0f, fast_tanh, exact_tanh), 4.0);
  EXPECT_LE(worst(-1e-4f, 1e-4f, fast_tanh, exact_tanh), 4.0);
}

TEST(KernelMath, ErfIsWithinFourUlp) {
  EXPECT_LE(worst(-5.0f, 5.0f, fast_erf, exact_erf), 4.0);
  EXPECT_LE(worst(-1.0f, 1.0f, fast_erf, exact_erf), 4.0);
  EXPECT_LE(worst(-1e-4f, 1e-4f, fast_erf, exact_erf), 4.0);
}

TEST(KernelMath, LimitsAreExact) {
  EXPECT_EQ(exp(0.0f), 1.0f);
  EXPECT_EQ(exp(kInfinity), kInfinity);
  EXPECT_EQ(exp(-kInfinity), 0.0f);
  EXPECT_EQ(exp(89.0f), kInfinity);
  EXPECT_EQ(exp(-1e30f), 0.0f);
  for (const float sign : {1.0f, -1.0f}) {
    for (const float large : {20.0f, 1e30f, kInfinity}) {
      EXPECT_EQ(tanh(sign * large), sign);
      EXPECT_EQ(erf(sign * large), sign);
    }
    EXPECT_EQ(std::signbit(tanh(sign * 0.0f)), std::signbit(sign));
    EXPECT_EQ(std::signbit(erf(sign * 0.0f)), std::signbit(sign));
  }
}

TEST(KernelMath, NaNPropagates) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(exp(nan)));
  EXPECT_TRUE(std::isnan(tanh(nan)));
  EXPECT_TRUE(std::isnan(erf(nan)));
}

}  // namespace
}  // namespace weft::kernels
