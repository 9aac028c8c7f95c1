#include "parallel/pipeline/partition.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

namespace weft {
namespace {

using Blocks = std::vector<int64_t>;

TEST(BalanceBlocks, SharesEvenlyWhereItCan) {
  EXPECT_EQ(balance_blocks(12, 4, {}), (Blocks{3, 3, 3, 3}));
  EXPECT_EQ(balance_blocks(1, 1, {}), (Blocks{1}));
}

TEST(BalanceBlocks, GivesTheRestToLaterParts) {
  EXPECT_EQ(balance_blocks(14, 4, {}), (Blocks{3, 3, 4, 4}));
}

TEST(BalanceBlocks, CountsEmbeddingAndHead) {
  EXPECT_EQ(balance_blocks(12, 4, {.head = 3}), (Blocks{3, 4, 4, 1}));
  EXPECT_EQ(balance_blocks(10, 2, {.embedding = 2, .head = 4}), (Blocks{6, 4}));
}

// The largest cost of a part over all ways to share the blocks, found by trying them.
double least_possible(int64_t layers, int parts, const UnitCosts& costs, bool first = true) {
  const double ends = first ? costs.embedding : 0;
  if (parts == 1) return ends + static_cast<double>(layers) * costs.block + costs.head;
  double best = 1e300;
  for (int64_t n = 1; n <= layers - parts + 1; ++n) {
    const double here = ends + static_cast<double>(n) * costs.block;
    best = std::min(best, std::max(here, least_possible(layers - n, parts - 1, costs, false)));
  }
  return best;
}

TEST(BalanceBlocks, FindsTheLeastMaximum) {
  for (int64_t layers = 1; layers <= 9; ++layers) {
    for (int parts = 1; parts <= layers; ++parts) {
      for (const UnitCosts& costs :
           {UnitCosts{}, UnitCosts{.head = 2.5}, UnitCosts{.embedding = 1.5, .head = 0.5}}) {
        const Blocks blocks = balance_blocks(layers, parts, costs);
        ASSERT_EQ(std::accumulate(blocks.begin(), blocks.end(), int64_t{0}), layers);
        double most = 0;
        for (size_t i = 0; i < blocks.size(); ++i) {
          double cost = static_cast<double>(blocks[i]) * costs.block;
          if (i == 0) cost += costs.embedding;
          if (i + 1 == blocks.size()) cost += costs.head;
          most = std::max(most, cost);
        }
        EXPECT_EQ(most, least_possible(layers, parts, costs)) << layers << " in " << parts;
      }
    }
  }
}

}  // namespace
}  // namespace weft
