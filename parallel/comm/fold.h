// fold: the one definition of what a reduction over ranks computes. Every transport reduces through
// it, so the same contributions give the same bits everywhere.
//
// Ranks pair up with their neighbour, the pairs with theirs, and so on; an odd one out moves up
// unchanged: ((r0 + r1) + (r2 + r3)) + r4. Elements are independent, so any split of the elements
// among ranks or chunks leaves the result as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/dtype.h"
#include "core/mesh/communicator.h"

namespace weft {

// Workspace of fold for groups of up to `ranks`; one per thread that folds.
class FoldScratch {
 public:
  explicit FoldScratch(int ranks);
  void* data() { return memory_.data(); }

 private:
  std::vector<double> memory_;
};

// out[i] = fold over r of sources[r][i] for i in [0, count). out may be one of the sources, not
// otherwise overlap them. f32, f64, i64 (sums wrap around), and bf16 and f16, which are folded in
// f32 and rounded once; max of a NaN is that NaN.
void fold(const void* const* sources, int ranks, void* out, int64_t count, DType dtype, ReduceOp op,
          FoldScratch& scratch);

}  // namespace weft
