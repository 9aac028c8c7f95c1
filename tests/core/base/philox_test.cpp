#include "core/base/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace weft {
namespace {

using Words = std::array<uint32_t, 4>;

// Known answers of philox4x32-10 from the Random123 distribution (kat_vectors).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, WordsFollowTheElementIndex) {
  const RandomKey key{.seed = 0x123456789abcdef0, .stream = 7, .step = 3};
  const Words block = random_block(key, 5);
  for (uint64_t i = 0; i < 4; ++i) EXPECT_EQ(random_word(key, 20 + i), block[i]);
  EXPECT_EQ(block, philox4x32({5, 0, 3, 7}, {0x9abcdef0, 0x12345678}));
  EXPECT_NE(random_word({.seed = 1, .stream = 1, .step = 0}, 0),
            random_word({.seed = 1, .stream = 1, .step = 1}, 0));
}

TEST(Philox, UniformStaysInsideTheOpenInterval) {
  EXPECT_GT(uniform(0), 0.0);
  EXPECT_LT(uniform(0xffffffff), 1.0);
  EXPECT_NEAR(uniform(0x80000000), 0.5, 0x1p-32);
}

TEST(Philox, NormalInvertsTheDistributionFunction) {
  // P(X <= normal(u)) = u, with the distribution function written through erfc.
  for (const uint32_t word : {0u, 1u, 1000u, 0x01000000u, 0x40000000u, 0x7fffffffu, 0xc0000000u,
                              0xfffffff0u, 0xffffffffu}) {
    const double u = uniform(word);
    const double p = 0.5 * std::erfc(-normal(word) / std::sqrt(2.0));
    EXPECT_NEAR(p / u, 1.0, 1e-10) << word;
  }
  EXPECT_EQ(normal(0x7fffffff), -normal(0x80000000));
}

TEST(Philox, MomentsOfNormals) {
  constexpr int64_t kCount = 1 << 20;
  std::vector<float> x(kCount);
  fill_normal({.seed = 42, .stream = 1, .step = 0}, 0, kCount, 1.0, x.data());
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  for (const double v : x) {
    m1 += v;
    m2 += v * v;
    m3 += v * v * v;
    m4 += v * v * v * v;
  }
  // Five standard errors: the moments' variances are 1, 2, 15 and 96 over the count.
  const double unit = 5 / std::sqrt(static_cast<double>(kCount));
  EXPECT_NEAR(m1 / kCount, 0, unit);
  EXPECT_NEAR(m2 / kCount, 1, unit * std::sqrt(2.0));
  EXPECT_NEAR(m3 / kCount, 0, unit * std::sqrt(15.0));
  EXPECT_NEAR(m4 / kCount, 3, unit * std::sqrt(96.0));
}

TEST(Philox, FillDependsOnTheElementAlone) {
  const RandomKey key{.seed = 9, .stream = 2, .step = 0};
  std::vector<float> whole(40), part(13);
  fill_normal(key, 0, 40, 0.02, whole.data());
  fill_normal(key, 7, 13, 0.02, part.data());
  for (size_t i = 0; i < part.size(); ++i) EXPECT_EQ(part[i], whole[7 + i]);
}

}  // namespace
}  // namespace weft
