#include "parallel/pipeline/partition.h"

#include <algorithm>

#include "core/base/error.h"

namespace weft {

std::vector<int64_t> balance_blocks(int64_t layers, int parts, const UnitCosts& costs) {
  WEFT_CHECK(1 <= parts && parts <= layers, "{} blocks in {} parts", layers, parts);
  std::vector<int64_t> blocks(static_cast<size_t>(parts), 1);
  const auto cost = [&](size_t part) {
    double c = static_cast<double>(blocks[part]) * costs.block;
    if (part == 0) c += costs.embedding;
    if (part + 1 == blocks.size()) c += costs.head;
    return c;
  };
  // All blocks cost the same, so giving each to the cheapest part keeps the largest sum least.
  for (int64_t left = layers - parts; left > 0; --left) {
    size_t cheapest = 0;
    for (size_t part = 1; part < blocks.size(); ++part) {
      if (cost(part) <= cost(cheapest)) cheapest = part;
    }
    ++blocks[cheapest];
  }
  return blocks;
}

}  // namespace weft
