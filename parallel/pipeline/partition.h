// How many blocks each part of a pipeline gets.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

// What the units of a model cost to compute, in any unit.
struct UnitCosts {
  double embedding = 0;
  double block = 1;
  double head = 0;  // final norm and head
};

// Blocks of each of `parts` parts in the order of the chain, `layers` in all, at least one each:
// the split whose most expensive part, embedding and head counted, costs least; where parts cost
// the same the later one gets more, since earlier stages hold more micro-batches.
// Requires 1 <= parts <= layers.
std::vector<int64_t> balance_blocks(int64_t layers, int parts, const UnitCosts& costs);

}  // namespace weft
