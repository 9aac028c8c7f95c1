#include "core/nn/shared_rows.h"

namespace weft {

Tensor gather_rows(const Tensor& x, Context& ctx) { return gather_rows(x, ctx, ctx.stream); }

Tensor gather_rows(const Tensor& x, Context& ctx, Stream& stream) {
  if (ctx.tensor().group == nullptr) return x;
  const Tensor all = ctx.work.allocate({ctx.all_rows(), x.shape().back()}, x.dtype());
  ctx.tensor().group->all_gather(x, all, stream);
  return all;
}

Tensor partial_rows(const Tensor& y, Context& ctx) {
  if (ctx.tensor().group == nullptr) return y;
  return ctx.work.allocate({ctx.all_rows(), y.shape().back()}, y.dtype());
}

void sum_and_share(const Tensor& partial, const Tensor& y, Context& ctx) {
  sum_and_share(partial, y, ctx, ctx.stream);
}

void sum_and_share(const Tensor& partial, const Tensor& y, Context& ctx, Stream& stream) {
  if (ctx.tensor().group == nullptr) return;
  ctx.tensor().group->reduce_scatter(partial, y, stream);
}

}  // namespace weft
