#include "core/nn/mlp.h"

namespace weft {

void Mlp::forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx) {
  const Shape inner{ctx.all_rows(), up_.out()};
  const Tensor pre = saved.allocate(inner, x.dtype());
  const Tensor act = saved.allocate(inner, x.dtype());
  up_.forward(x, act, ctx, activation_, pre);
  saved.push(pre);
  saved.push(act);
  if (y.empty()) return;
  down_.forward(act, y, ctx);
  dropout_.apply(y, ctx);
}

void Mlp::backward(const Tensor& x, const Tensor& dy, const Tensor& dx, Saved& saved,
                   Context& ctx) {
  ArenaScope scope(ctx.work);
  dropout_.apply(dy, ctx);
  const Tensor act = saved.pop();
  const Tensor pre = saved.pop();
  const Tensor dpre = ctx.work.allocate(pre.shape(), pre.dtype());
  down_.backward(lasting(act, false, saved, ctx), dy, dpre, saved, ctx, activation_, pre);
  up_.backward(x, dpre, dx, saved, ctx);
}

void Mlp::backward_weights(Saved& saved, Context& ctx) {
  down_.backward_weights(saved, ctx);
  up_.backward_weights(saved, ctx);
}

}  // namespace weft
