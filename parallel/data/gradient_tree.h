// The order in which elastic runs add the gradients of micro-batches: a balanced binary tree over
// their global numbers, whichever rank computed them.
//
//   leaves      0   1   2   3   4   5   6   7      micro-batches
//   level 0      \ /     \ /     \ /     \ /
//   level 1        \_____/         \_____/
//   level 2             \___________/
//
// A rank meets its leaves in order and adds them like a binary counter: level k holds the sum of
// 2^k leaves that waits for its neighbour. Ranks then add their sums in a tree over rank order, as
// every communicator does. With contiguous blocks of leaves on each rank (a power of two of both)
// these are the lower and the upper part of one tree; where every micro-batch is summed over the
// ranks at once, leaf = micro-batch * ranks + rank, and the ranks are the lower part.
#pragma once

#include <cstdint>

#include "core/ops/ops.h"

namespace weft {

// Adds to `sum`, leaf number `leaf` of this rank, the levels that wait for it; `level(k)` is the
// memory of level k. Returns the level at which the result belongs if more leaves follow.
template <typename Level>
int carry(const Tensor& sum, int64_t leaf, const Level& level, Ops& ops, Stream& stream) {
  int k = 0;
  for (; (leaf >> k & 1) != 0; ++k)
    ops(op::Add{.a = level(static_cast<size_t>(k)), .b = sum, .y = sum}, stream);
  return k;
}

}  // namespace weft
