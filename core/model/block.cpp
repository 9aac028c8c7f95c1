#include "core/model/block.h"

namespace weft {

Residual Block::forward(const Residual& in, Saved& saved, Context& ctx) {
  const Norm::Output first = norm_1_.forward(in.x, in.pending_delta(), saved, ctx);
  attention_.forward(first.y, in.delta, saved, ctx);
  const Norm::Output second = norm_2_.forward(first.sum, in.delta, saved, ctx);
  mlp_.forward(second.y, in.delta, saved, ctx);
  return {second.sum, in.delta, true};
}

void Block::backward(const Tensor& dres, Saved& saved, Context& ctx) {
  ArenaScope scope(ctx.work);
  // Dropout scales the branch's gradient in place, which the residual path must not see.
  const Tensor branch = ctx.dropout ? ctx.work.allocate(dres.shape(), dres.dtype()) : Tensor();
  const auto branch_gradient = [&]() -> const Tensor& {
    if (branch.empty()) return dres;
    ctx.ops.copy(dres, branch, ctx.stream);
    return branch;
  };
  const Tensor dy = ctx.work.allocate(dres.shape(), dres.dtype());
  mlp_.backward(branch_gradient(), dy, saved, ctx);
  norm_2_.backward(dy, dres, saved, ctx);
  attention_.backward(branch_gradient(), dy, saved, ctx);
  norm_1_.backward(dy, dres, saved, ctx);
}

void Block::backward_weights(Saved& saved, Context& ctx) {
  mlp_.backward_weights(saved, ctx);
  attention_.backward_weights(saved, ctx);
}

Residual Block::decode(const Residual& in, int64_t past, const KvCache& cache, Saved& saved,
                       Context& ctx) {
  const Norm::Output first = norm_1_.forward(in.x, in.pending_delta(), saved, ctx);
  attention_.decode(first.y, past, cache, in.delta, saved, ctx);
  const Norm::Output second = norm_2_.forward(first.sum, in.delta, saved, ctx);
  mlp_.forward(second.y, in.delta, saved, ctx);
  return {second.sum, in.delta, true};
}

}  // namespace weft
