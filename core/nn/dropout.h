// Dropout on rows of the residual stream: the mask is a pure function of (seed, step, layer, global
// element), so backward makes it anew instead of keeping it.
#pragma once

#include "core/nn/context.h"

namespace weft {

class Dropout {
 public:
  // `name` tells this use of randomness apart from all others, e.g. "h.3.mlp.dropout".
  Dropout(double p, std::string_view name) : p_(p), stream_(stream_of(name)) {}

  // In place, x [S,C]; forward and backward are the same operation.
  void apply(const Tensor& x, Context& ctx) const {
    if (!active(ctx)) return;
    ctx.ops(op::Dropout{.x = x,
                        .y = x,
                        .p = p_,
                        .key = ctx.random(stream_),
                        .rows = ctx.rows(),
                        .first_column = 0,
                        .global_columns = x.shape().back()},
            ctx.stream);
  }
  bool active(const Context& ctx) const { return ctx.dropout && p_ > 0; }

 private:
  double p_;
  uint32_t stream_;
};

}  // namespace weft
