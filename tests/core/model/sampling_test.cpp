#include "core/model/sampling.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "core/base/error.h"

namespace weft {
namespace {

// Probabilities .5 .3 .15 .05, ids out of order of likelihood.
const std::array<float, 4> kLogits{std::log(0.15f), std::log(0.5f), std::log(0.05f),
                                   std::log(0.3f)};

std::array<double, 4> frequencies(const SamplingOptions& options, int draws = 20000) {
  Sampler sampler(options, 4);
  std::array<double, 4> counts{};
  for (int i = 0; i < draws; ++i) ++counts[static_cast<size_t>(sampler.sample(kLogits, i))];
  for (double& c : counts) c /= draws;
  return counts;
}

// Four standard deviations of a frequency over 20000 draws: 4 * sqrt(.25 / 20000).
constexpr double kTolerance = 0.0142;

TEST(Sampler, FollowsTheProbabilities) {
  const auto f = frequencies({});
  EXPECT_NEAR(f[1], 0.5, kTolerance);
  EXPECT_NEAR(f[3], 0.3, kTolerance);
  EXPECT_NEAR(f[0], 0.15, kTolerance);
  EXPECT_NEAR(f[2], 0.05, kTolerance);
}

TEST(Sampler, TemperatureSharpens) {
  // At temperature 1/2 probabilities are squared and renormalised: .25/.365.
  EXPECT_NEAR(frequencies({.temperature = 0.5})[1], 0.25 / 0.365, kTolerance);
  EXPECT_DOUBLE_EQ(frequencies({.temperature = 0}, 10)[1], 1.0);
}

TEST(Sampler, TopKAndTopPCutTheTail) {
  const auto k = frequencies({.top_k = 2});
  EXPECT_NEAR(k[1], 0.5 / 0.8, kTolerance);
  EXPECT_EQ(k[0] + k[2], 0);
  const auto p = frequencies({.top_p = 0.9});
  EXPECT_EQ(p[2], 0);
  EXPECT_NEAR(p[0], 0.15 / 0.95, kTolerance);
  EXPECT_DOUBLE_EQ(frequencies({.top_p = 0.4}, 100)[1], 1.0);
}

TEST(Sampler, IsAFunctionOfSeedAndDraw) {
  Sampler a({.seed = 7}, 4), b({.seed = 7}, 4), other({.seed = 8}, 4);
  int differing = 0;
  for (int i = 0; i < 100; ++i) {
    const int32_t token = a.sample(kLogits, i);
    EXPECT_EQ(token, b.sample(kLogits, i));
    differing += token != other.sample(kLogits, i);
  }
  EXPECT_GT(differing, 0);
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  EXPECT_THROW(Sampler({.temperature = -1}, 4), Error);
  EXPECT_THROW(Sampler({.top_k = -1}, 4), Error);
  EXPECT_THROW(Sampler({.top_p = 0}, 4), Error);
}

}  // namespace
}  // namespace weft
