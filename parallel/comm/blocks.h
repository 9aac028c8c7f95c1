// Blocks: how the elements of one buffer are shared out among the ranks of a group, in rank order.
// Blocks start on cache lines of the buffer where its start does; the last ones may be short or
// empty.
#pragma once

#include <algorithm>
#include <cstdint>

namespace weft {

struct Blocks {
  int64_t count = 0;  // elements of the whole
  int64_t block = 0;  // elements of a full block

  static Blocks split(int64_t count, int ranks) {
    constexpr int64_t kLine = 16;
    const int64_t share = (count + ranks - 1) / ranks;
    return {count, (share + kLine - 1) / kLine * kLine};
  }
  int64_t begin(int rank) const { return std::min(count, rank * block); }
  int64_t end(int rank) const { return std::min(count, (rank + 1) * block); }
  int64_t size(int rank) const { return end(rank) - begin(rank); }
};

}  // namespace weft
