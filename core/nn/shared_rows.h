// Moves between rows that the tensor-parallel ranks share out and rows that every rank has: the f
// and g of Megatron-LM in their sequence-parallel form (arXiv 2205.05198, section 4.2.2). Both are
// each other's gradient. Without a group they do nothing.
#pragma once

#include "core/nn/context.h"

namespace weft {

// All rows [R,n] of shared-out rows x [S,n]; x itself without a group, else in ctx.work.
Tensor gather_rows(const Tensor& x, Context& ctx);
// The same, on another stream than ctx.stream.
Tensor gather_rows(const Tensor& x, Context& ctx, Stream& stream);

// A place for a partial sum [R,n] that sum_and_share will turn into y [S,n]: y itself without a
// group, else in ctx.work.
Tensor partial_rows(const Tensor& y, Context& ctx);

// y [S,n] (=): this rank's rows of the sum of everybody's `partial`, which is what partial_rows(y)
// returned; it is destroyed.
void sum_and_share(const Tensor& partial, const Tensor& y, Context& ctx);
// The same, on another stream than ctx.stream.
void sum_and_share(const Tensor& partial, const Tensor& y, Context& ctx, Stream& stream);

}  // namespace weft
