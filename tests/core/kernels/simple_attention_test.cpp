// Attention by rows under the host's team, against attention in double; and dropout by blocks.
#include "core/kernels/simple_attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/kernels/dropout.h"
#include "core/ops/token_share.h"

namespace weft::kernels {
namespace {

constexpr HostTeam kTeam;
constexpr int64_t kDim = 5;
constexpr float kScale = 0.4f;

std::vector<float> random_values(int64_t count, uint32_t stream) {
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    const double x = uniform(random_word({.seed = 1, .stream = stream, .step = 0}, i));
    values[i] = static_cast<float>(2 * x - 1);
  }
  return values;
}

float kept(int64_t j) { return j % 3 == 0 ? 0.0f : 1.5f; }

// Weights and gradients of one query against n keys, in double.
struct Reference {
  std::vector<double> p, ds;
  double lse = 0;
  std::vector<double> out = std::vector<double>(kDim);

  Reference(int64_t n, const float* q, const float* k, const float* v, const float* dout) {
    p.resize(static_cast<size_t>(n));
    ds.resize(p.size());
    double total = 0;
    for (int64_t j = 0; j < n; ++j) {
      double score = 0;
      for (int64_t d = 0; d < kDim; ++d) score += double{q[d]} * double{k[j * kDim + d]};
      total += p[static_cast<size_t>(j)] = std::exp(double{kScale} * score);
    }
    lse = std::log(total);
    double delta = 0;
    for (int64_t j = 0; j < n; ++j) {
      const auto at = static_cast<size_t>(j);
      p[at] /= total;
      for (int64_t d = 0; d < kDim; ++d) {
        const double value = double{kept(j)} * double{v[j * kDim + d]};
        out[static_cast<size_t>(d)] += p[at] * value;
        ds[at] += double{dout[d]} * value;
      }
      delta += p[at] * ds[at];
    }
    for (size_t j = 0; j < p.size(); ++j) ds[j] = p[j] * (ds[j] - delta);
  }
};

// Sums of up to 40 terms of magnitude 1 in f32, and the exponential: some ten units of roundoff.
constexpr double kBound = 40 * 0x1p-23;

TEST(SimpleAttentionTest, OneQueryMatchesDouble) {
  constexpr int64_t kKeys = 37;
  const auto q = random_values(kDim, 1), k = random_values(kKeys * kDim, 2);
  const auto v = random_values(kKeys * kDim, 3), dout = random_values(kDim, 4);
  const Reference want(kKeys, q.data(), k.data(), v.data(), dout.data());
  std::vector<float> out(kDim), dq(kDim, 2.0f), scores(kKeys);
  float lse = 0, delta = 0;
  simple::forward_row(kTeam, kKeys, kDim, kScale, q.data(), k.data(), v.data(), kDim, kept, false,
                      out.data(), &lse, scores.data());
  EXPECT_NEAR(lse, want.lse, kBound * 4);
  simple::query_gradient_row(kTeam, kKeys, kDim, kScale, q.data(), k.data(), v.data(), kDim, kept,
                             dout.data(), out.data(), lse, true, dq.data(), &delta, scores.data());
  for (int64_t d = 0; d < kDim; ++d) {
    const auto at = static_cast<size_t>(d);
    EXPECT_NEAR(out[at], want.out[at], kBound);
    double gradient = 2;
    for (int64_t j = 0; j < kKeys; ++j) {
      gradient += double{kScale} * want.ds[static_cast<size_t>(j)] *
                  double{k[static_cast<size_t>(j * kDim + d)]};
    }
    EXPECT_NEAR(dq[at], gradient, kBound);
  }
}

TEST(SimpleAttentionTest, MergesWhatOtherKeysLeft) {
  constexpr int64_t kKeys = 30, kFirst = 11;
  const auto q = random_values(kDim, 1), k = random_values(kKeys * kDim, 2);
  const auto v = random_values(kKeys * kDim, 3);
  const Reference want(kKeys, q.data(), k.data(), v.data(), q.data());
  std::vector<float> out(kDim), scores(kKeys);
  float lse = 0;
  simple::forward_row(kTeam, kFirst, kDim, kScale, q.data(), k.data(), v.data(), kDim, kept, false,
                      out.data(), &lse, scores.data());
  const auto later = [](int64_t j) { return kept(kFirst + j); };
  simple::forward_row(kTeam, kKeys - kFirst, kDim, kScale, q.data(), k.data() + kFirst * kDim,
                      v.data() + kFirst * kDim, kDim, later, true, out.data(), &lse, scores.data());
  EXPECT_NEAR(lse, want.lse, kBound * 4);
  for (size_t d = 0; d < out.size(); ++d) EXPECT_NEAR(out[d], want.out[d], kBound);
}

TEST(SimpleAttentionTest, OneKeySumsItsQueries) {
  constexpr int64_t kQueries = 23, kWidth = kDim + 2;
  const auto q = random_values(kQueries * kWidth, 1), dout = random_values(kQueries * kWidth, 4);
  const auto k = random_values(kDim, 2), v = random_values(kDim, 3);
  const auto lse = random_values(kQueries, 5), delta = random_values(kQueries, 6);
  std::vector<float> dk(kDim, 1.0f), dv(kDim, 2.0f), weights(kQueries), dscores(kQueries);
  simple::key_gradient_row(kTeam, kQueries, kDim, kScale, q.data(), kWidth, dout.data(), kWidth,
                           k.data(), v.data(), kept, lse.data(), delta.data(), dk.data(), dv.data(),
                           weights.data(), dscores.data());
  std::vector<double> want_k(kDim, 1.0), want_v(kDim, 2.0);
  for (int64_t i = 0; i < kQueries; ++i) {
    double score = 0, dp = 0;
    for (int64_t d = 0; d < kDim; ++d) {
      const auto at = static_cast<size_t>(i * kWidth + d);
      score += double{q[at]} * double{k[static_cast<size_t>(d)]};
      dp += double{dout[at]} * double{v[static_cast<size_t>(d)]};
    }
    const double p = std::exp(double{kScale} * score - double{lse[static_cast<size_t>(i)]});
    const double ds = p * (dp * double{kept(i)} - double{delta[static_cast<size_t>(i)]});
    for (int64_t d = 0; d < kDim; ++d) {
      const auto at = static_cast<size_t>(i * kWidth + d);
      want_k[static_cast<size_t>(d)] += double{kScale} * ds * double{q[at]};
      want_v[static_cast<size_t>(d)] += p * double{kept(i)} * double{dout[at]};
    }
  }
  for (size_t d = 0; d < dk.size(); ++d) {
    EXPECT_NEAR(dk[d], want_k[d], 8 * kBound);  // weights are up to e times 1 here
    EXPECT_NEAR(dv[d], want_v[d], 8 * kBound);
  }
}

struct Shares {
  TokenShare queries, keys;
};

TEST(SimpleAttentionTest, KnowsWhichPairsAreSeen) {
  const Shares cases[] = {
      {TokenShare::whole(9), TokenShare::whole(9)},
      {TokenShare::zigzag(32, 1, 2), TokenShare::zigzag(32, 0, 2)},
      {TokenShare::zigzag(32, 0, 2), TokenShare::zigzag(32, 1, 2)},
      {{.length = 40, .count = 9, .run = 4, .first = 3, .second = 20},
       {.length = 40, .count = 17, .run = 6, .first = 2, .second = 15}},
  };
  for (const Shares& s : cases) {
    for (int64_t i = 0; i < s.queries.count; ++i) {
      int64_t seen = 0;
      for (int64_t j = 0; j < s.keys.count; ++j) seen += s.keys.at(j) <= s.queries.at(i) ? 1 : 0;
      EXPECT_EQ(simple::keys_seen(s, i), seen) << i;
    }
    for (int64_t j = 0; j < s.keys.count; ++j) {
      int64_t first = 0;
      while (first < s.queries.count && s.queries.at(first) < s.keys.at(j)) ++first;
      EXPECT_EQ(simple::first_to_see(s, j), first) << j;
    }
  }
}

TEST(DropoutTest, BlocksKeepWhatRunsKeep) {
  const RandomKey key{.seed = 3, .stream = 4, .step = 5};
  const auto x = random_values(1000, 7);
  for (const uint64_t first : {0U, 1U, 2U, 3U, 4097U}) {
    for (const int64_t n : {1, 3, 4, 5, 1000}) {
      std::vector<float> by_run(x.size(), 9.0f), by_block(by_run);
      const uint32_t threshold = dropout_threshold(0.3);
      dropout_run(kTeam, key, first, n, threshold, 2.0f, x.data(), by_run.data());
      dropout_blocks(kTeam, key, first, n, threshold, 2.0f, x.data(), by_block.data());
      EXPECT_EQ(by_run, by_block) << first << " " << n;
    }
  }
}

TEST(RandomWordsTest, WordAtIsTheWord) {
  const RandomKey key{.seed = 3, .stream = 4, .step = 5};
  for (uint64_t i = 0; i < 9; ++i) EXPECT_EQ(word_at(key, i), random_word(key, i));
}

}  // namespace
}  // namespace weft::kernels
