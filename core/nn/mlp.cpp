#include "core/nn/mlp.h"

namespace weft {

void Mlp::forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx) {
  const Shape inner{ctx.all_rows(), up_.out()};
  const Tensor pre = saved.allocate(inner, x.dtype());
  const Tensor act = saved.allocate(inner, x.dtype());
  up_.forward(x, act, saved, ctx, activation_, pre);
  saved.push(pre);
  down_.forward(act, y, saved, ctx);
  dropout_.apply(y, ctx);
}

void Mlp::backward(const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx) {
  ArenaScope scope(ctx.work);
  dropout_.apply(dy, ctx);
  const Tensor dpre = ctx.work.allocate({ctx.all_rows(), up_.out()}, dy.dtype());
  down_.backward(dy, dpre, saved, ctx, activation_, saved.peek(1));
  saved.pop();
  up_.backward(dpre, dx, saved, ctx);
}

void Mlp::backward_weights(Saved& saved, Context& ctx) {
  down_.backward_weights(saved, ctx);
  up_.backward_weights(saved, ctx);
}

}  // namespace weft
