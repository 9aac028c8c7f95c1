#include "core/mesh/shard_layout.h"

#include <gtest/gtest.h>

#include "core/ops/gradient_norm.h"

namespace weft {
namespace {

constexpr int64_t kBlock = kNormBlock;
constexpr int64_t kOneBucket = int64_t{1} << 40;

using Entries = std::vector<ShardLayout::Entry>;

// Sizes that divide by nothing, smaller and larger than a block.
Entries odd_sizes() {
  return {{3, 0}, {5 * kBlock + 1, 0}, {kBlock, 1}, {77, 1}, {2 * kBlock - 1, 2}, {1, 3}};
}

class Shares : public ::testing::TestWithParam<int> {};

TEST_P(Shares, GiveEveryElementToOneRankInWholeBlocks) {
  const Entries entries = odd_sizes();
  for (const int64_t bucket : {int64_t{1}, 3 * kBlock, kOneBucket}) {
    const ShardLayout layout(entries, {.dp = GetParam()}, bucket, false);
    for (size_t i = 0; i < entries.size(); ++i) {
      int64_t covered = 0;
      for (int rank = 0; rank < GetParam(); ++rank) {
        const ElementRange share = layout.share(i, rank);
        if (share.size() == 0) continue;
        EXPECT_EQ(share.begin, covered);
        EXPECT_EQ(share.begin % kBlock, 0);
        covered = share.end;
      }
      EXPECT_EQ(covered, entries[i].elements) << "parameter " << i;
    }
  }
}

TEST_P(Shares, OfABucketAreEqualAndFollowEachOther) {
  const Entries entries = odd_sizes();
  const ShardLayout layout(entries, {.dp = GetParam()}, 3 * kBlock, false);
  int64_t begin = 0;
  for (const ShardLayout::Bucket& b : layout.buckets()) {
    EXPECT_EQ(b.begin, begin);
    EXPECT_EQ(b.share % kBlock, 0);
    begin += b.elements();
    for (size_t i = b.first; i < b.last; ++i) {
      EXPECT_EQ(layout.offset(i) % kBlock, 0);
      EXPECT_LE(layout.offset(i) + entries[i].elements, b.elements());
    }
  }
  EXPECT_EQ(layout.elements(), begin);
}

TEST_P(Shares, AreBalancedToABlock) {
  const ShardLayout layout(odd_sizes(), {.dp = GetParam()}, kOneBucket, false);
  ASSERT_EQ(layout.buckets().size(), 1u);
  const int64_t blocks = 12;  // of all parameters, each rounded up
  EXPECT_EQ(layout.buckets()[0].share, (blocks + GetParam() - 1) / GetParam() * kBlock);
}

INSTANTIATE_TEST_SUITE_P(Ranks, Shares, ::testing::Values(1, 2, 3, 4, 7, 16));

// Whole parameters of these many blocks, in two units.
Entries whole_sizes(std::vector<int64_t> blocks) {
  Entries entries;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const int64_t elements = blocks[i] * kBlock - static_cast<int64_t>(i);
    entries.push_back({.elements = elements,
                       .unit = i < blocks.size() / 2 ? 0 : 1,
                       .grain = Grain::whole,
                       .room = elements});
  }
  return entries;
}

TEST_P(Shares, OfWholeParametersAreNotCut) {
  const Entries entries = whole_sizes({1, 4, 2, 7, 1, 4, 2, 7});
  for (const bool within_units : {false, true}) {
    const ShardLayout layout(entries, {.dp = GetParam()}, 1, within_units);
    std::vector<std::vector<bool>> taken;
    for (const ShardLayout::Bucket& b : layout.buckets()) {
      taken.emplace_back(static_cast<size_t>(b.elements() / kBlock));
    }
    for (size_t i = 0; i < entries.size(); ++i) {
      int owners = 0;
      for (int rank = 0; rank < GetParam(); ++rank) {
        const int64_t size = layout.share(i, rank).size();
        EXPECT_TRUE(size == 0 || size == entries[i].elements) << "parameter " << i;
        owners += size > 0;
      }
      EXPECT_EQ(owners, 1) << "parameter " << i;
      auto& blocks = taken[layout.bucket_of(i)];
      const auto first = static_cast<size_t>(layout.offset(i) / kBlock);
      const size_t count = static_cast<size_t>(entries[i].elements + kBlock - 1) / kBlock;
      for (size_t block = first; block < first + count; ++block) {
        EXPECT_FALSE(blocks.at(block)) << "parameter " << i;
        blocks.at(block) = true;
      }
    }
  }
}

TEST(Whole, ParametersGoToTheRankThatHasLeast) {
  const ShardLayout two(whole_sizes({1, 4, 2, 7}), {.dp = 2}, kOneBucket, false);
  EXPECT_EQ(two.buckets()[0].share, 7 * kBlock);  // 7, and 4 + 2 + 1
  const ShardLayout three(whole_sizes({1, 4, 2, 7}), {.dp = 3}, kOneBucket, false);
  EXPECT_EQ(three.buckets()[0].share, 7 * kBlock);  // as much as the largest
}

// However small buckets are asked for: a share holds the largest parameter in any case.
TEST(Whole, BucketsAreWorthTheirLargestShare) {
  const ShardLayout layout(whole_sizes({4, 4, 4, 4, 4, 4, 4, 4}), {.dp = 4}, 1, false);
  EXPECT_EQ(layout.buckets().size(), 2u);
  EXPECT_EQ(layout.elements(), 32 * kBlock);
}

// The last tensor-parallel rank may have less of a parameter, and must find the same owners.
TEST(Whole, OwnersGoByTheLargestPart) {
  Entries full = whole_sizes({4, 4, 4}), less = full;
  less[0].elements = less[2].elements = 5;
  const ShardLayout a(full, {.dp = 3}, 1, false), b(less, {.dp = 3}, 1, false);
  for (size_t i = 0; i < full.size(); ++i) {
    for (int rank = 0; rank < 3; ++rank) {
      EXPECT_EQ(a.share(i, rank).size() > 0, b.share(i, rank).size() > 0);
    }
  }
}

std::vector<size_t> firsts(const ShardLayout& layout) {
  std::vector<size_t> all;
  for (const ShardLayout::Bucket& b : layout.buckets()) all.push_back(b.first);
  return all;
}

TEST(Buckets, FillFromTheEnd) {
  EXPECT_EQ(firsts(ShardLayout(odd_sizes(), {.dp = 2}, 3 * kBlock, false)),
            (std::vector<size_t>{0, 1, 4}));
  EXPECT_EQ(firsts(ShardLayout(odd_sizes(), {.dp = 2}, kOneBucket, false)),
            (std::vector<size_t>{0}));
}

TEST(Buckets, EndAtUnitsWhenAsked) {
  EXPECT_EQ(firsts(ShardLayout(odd_sizes(), {.dp = 2}, kOneBucket, true)),
            (std::vector<size_t>{0, 2, 4, 5}));
}

TEST(Buckets, NeverSpanAGapInTheModel) {
  const Entries chunks{{10, 1}, {10, 2}, {10, 5}, {10, 6}};
  EXPECT_EQ(firsts(ShardLayout(chunks, {.dp = 2}, kOneBucket, false)), (std::vector<size_t>{0, 2}));
}

TEST(Buckets, LeaveAloneWhatMustBe) {
  const Entries entries{{10, 0, true}, {10, 0}, {10, 1}, {10, 1, true}};
  EXPECT_EQ(firsts(ShardLayout(entries, {.dp = 2}, kOneBucket, false)),
            (std::vector<size_t>{0, 1, 3}));
}

TEST(Buckets, HoldWhatTheSameRanksHold) {
  Entries entries{{10, 0}, {10, 0}, {10, 0}};
  entries[1].replicas = {Axis::dp};
  const ShardLayout layout(entries, {.dp = 2, .cp = 3}, kOneBucket, false);
  EXPECT_EQ(firsts(layout), (std::vector<size_t>{0, 1, 2}));
  EXPECT_EQ(layout.buckets()[0].ranks, 6);
  EXPECT_EQ(layout.buckets()[1].ranks, 2);
}

}  // namespace
}  // namespace weft
