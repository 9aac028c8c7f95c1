#include "core/model/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/base/philox.h"

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

// What a sampler draws that sorts all ids and adds up in double.
int32_t sorted_draw(const std::vector<float>& logits, const SamplingOptions& options,
                    int64_t draw) {
  std::vector<std::pair<double, int32_t>> ids;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isfinite(logits[i])) ids.push_back({-logits[i], static_cast<int32_t>(i)});
  }
  std::sort(ids.begin(), ids.end());
  if (options.top_k > 0) ids.resize(std::min(ids.size(), static_cast<size_t>(options.top_k)));
  std::vector<double> weights;
  double total = 0;
  for (const auto& [logit, id] : ids) {
    weights.push_back(std::exp((ids.front().first - logit) / options.temperature));
    total += weights.back();
  }
  double limit = total;
  if (options.top_p < 1) {
    limit = 0;
    for (size_t n = 0; n < ids.size() && limit < options.top_p * total; ++n) limit += weights[n];
  }
  const RandomKey key{.seed = options.seed, .stream = stream_of("sampling"), .step = 0};
  double rest = uniform(random_word(key, static_cast<uint64_t>(draw))) * limit;
  for (size_t n = 0; n < ids.size(); ++n) {
    rest -= weights[n];
    if (rest <= 0) return ids[n].second;
  }
  return ids.back().second;
}

// Logits of every kind of shape: spread, all alike, in few values, with outliers, with gaps.
std::vector<std::vector<float>> kinds_of_logits(size_t count) {
  std::vector<std::vector<float>> kinds(6, std::vector<float>(count));
  const RandomKey key{.seed = 5, .stream = stream_of("test"), .step = 0};
  for (size_t i = 0; i < count; ++i) {
    const auto u = static_cast<float>(uniform(random_word(key, i)));
    kinds[0][i] = 20 * u;
    kinds[1][i] = 0.5f;
    kinds[2][i] = std::floor(4 * u);
    kinds[3][i] = i == 7 ? 1000.0f : u;
    kinds[4][i] = i % 3 == 0 ? -std::numeric_limits<float>::infinity() : 1e-3f * u;
    kinds[5][i] = i == 3 ? -3e38f : i == 4 ? 3e38f : u;
  }
  return kinds;
}

TEST(Sampler, DrawsAsIfAllWereSorted) {
  constexpr size_t kIds = 5000;
  for (const SamplingOptions& options :
       {SamplingOptions{}, SamplingOptions{.temperature = 0.3}, SamplingOptions{.top_k = 1},
        SamplingOptions{.top_k = 40}, SamplingOptions{.top_p = 0.1}, SamplingOptions{.top_p = 0.9},
        SamplingOptions{.top_k = 1000, .top_p = 0.5}, SamplingOptions{.top_k = 100'000}}) {
    Sampler sampler(options, kIds);
    int kind = 0;
    for (const std::vector<float>& logits : kinds_of_logits(kIds)) {
      for (int draw = 0; draw < 40; ++draw) {
        ASSERT_EQ(sampler.sample(logits, draw), sorted_draw(logits, options, draw))
            << "logits of kind " << kind << ", top-k " << options.top_k << ", top-p "
            << options.top_p << ", temperature " << options.temperature << ", draw " << draw;
      }
      ++kind;
    }
  }
}

TEST(Sampler, NeverDrawsMinusInfinity) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  const std::vector<float> logits{kNever, -1e30f, kNever, -2e30f, kNever};
  for (const double temperature : {0.0, 1e-300, 1.0, 1e300}) {
    for (const double top_p : {0.5, 1.0}) {
      Sampler sampler({.temperature = temperature, .top_k = 0, .top_p = top_p}, 5);
      for (int draw = 0; draw < 200; ++draw) EXPECT_EQ(sampler.sample(logits, draw) % 2, 1);
    }
  }
}

TEST(Sampler, SaysThatTheWeightsAreBroken) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const double temperature : {0.0, 1.0}) {
    for (const float broken : {std::nanf(""), kInfinity}) {
      std::vector<float> logits(100);
      logits[77] = broken;
      EXPECT_THROW(Sampler({.temperature = temperature}, 100).sample(logits, 0), Error);
    }
    const std::vector<float> none(100, -kInfinity);
    EXPECT_THROW(Sampler({.temperature = temperature}, 100).sample(none, 0), Error);
  }
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  EXPECT_THROW(Sampler({.temperature = -1}, 4), Error);
  EXPECT_THROW(Sampler({.top_k = -1}, 4), Error);
  EXPECT_THROW(Sampler({.top_p = 0}, 4), Error);
}

}  // namespace
}  // namespace weft
