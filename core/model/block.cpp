#include "core/model/block.h"

namespace weft {

Residual Block::run(const Residual& in, bool last_product, Saved& saved, Context& ctx) {
  const bool keep = ctx.recompute != Recompute::selective;
  const Norm::Output first = norm_1_.forward(in.x, in.pending_delta(), keep, saved, ctx);
  attention_.forward(first.y, in.delta, saved, ctx);
  norm_1_.push(first, keep, saved);
  const Norm::Output second = norm_2_.forward(first.sum, in.delta, keep, saved, ctx);
  mlp_.forward(second.y, last_product ? in.delta : Tensor(), saved, ctx);
  norm_2_.push(second, keep, saved);
  return {second.sum, in.delta, true};
}

Residual Block::forward(const Residual& in, Saved& saved, Context& ctx) {
  if (ctx.recompute == Recompute::full) return forward_keeping_input(in, saved, ctx);
  ArenaScope scope(ctx.work);
  return run(in, true, saved, ctx);
}

Residual Block::forward_keeping_input(const Residual& in, Saved& saved, Context& ctx) {
  WEFT_CHECK(!in.pending, "a block that keeps its input alone was given a delta beside it");
  saved.push(in.x);
  const Residual out{saved.allocate(in.x.shape(), in.x.dtype()), in.delta, false};
  ArenaScope scope(ctx.work);
  const Saved::Elsewhere elsewhere(saved, ctx.work);
  const Residual sum = run(in, true, saved, ctx);
  ctx.ops.add(sum.x, sum.delta, out.x, ctx.stream);
  return out;
}

void Block::backward(const Tensor& dres, Saved& saved, Context& ctx) {
  ArenaScope scope(ctx.work);
  if (ctx.recompute != Recompute::full) {
    run_backward(dres, saved, ctx);
    return;
  }
  const Tensor x = saved.pop();
  const Saved::Elsewhere elsewhere(saved, ctx.work);
  run({x, ctx.work.allocate(x.shape(), x.dtype()), false}, false, saved, ctx);
  run_backward(dres, saved, ctx);
}

void Block::run_backward(const Tensor& dres, Saved& saved, Context& ctx) {
  // Dropout scales the branch's gradient in place, which the residual path must not see.
  const Tensor branch = ctx.dropout ? ctx.work.allocate(dres.shape(), dres.dtype()) : Tensor();
  const auto branch_gradient = [&]() -> const Tensor& {
    if (branch.empty()) return dres;
    ctx.ops.copy(dres, branch, ctx.stream);
    return branch;
  };
  const Tensor dy = ctx.work.allocate(dres.shape(), dres.dtype());
  {
    ArenaScope scope(ctx.work);
    const Norm::Output second = norm_2_.pop(saved, ctx);
    const Tensor x = lasting(second.y, second.recomputed, saved, ctx);
    mlp_.backward(x, branch_gradient(), dy, saved, ctx);
    norm_2_.backward(second, dy, dres, ctx);
  }
  const Norm::Output first = norm_1_.pop(saved, ctx);
  const Tensor x = lasting(first.y, first.recomputed, saved, ctx);
  attention_.backward(x, branch_gradient(), dy, saved, ctx);
  norm_1_.backward(first, dy, dres, ctx);
}

int64_t Block::saved_bytes(const ActivationSizes& sizes, bool pending) const {
  if (sizes.recompute == Recompute::full) {
    return static_cast<int64_t>(Arena::taken(sizes.shared_rows * norm_1_.width(), sizes.dtype));
  }
  const bool keep = sizes.recompute != Recompute::selective;
  return norm_1_.saved_bytes(sizes, pending, keep) + attention_.saved_bytes(sizes) +
         norm_2_.saved_bytes(sizes, true, keep) + mlp_.saved_bytes(sizes);
}

void Block::backward_weights(Saved& saved, Context& ctx) {
  mlp_.backward_weights(saved, ctx);
  attention_.backward_weights(saved, ctx);
}

Residual Block::decode(const Residual& in, int64_t past, const KvCache& cache, Saved& saved,
                       Context& ctx) {
  const Norm::Output first = norm_1_.forward(in.x, in.pending_delta(), true, saved, ctx);
  attention_.decode(first.y, past, cache, in.delta, saved, ctx);
  const Norm::Output second = norm_2_.forward(first.sum, in.delta, true, saved, ctx);
  mlp_.forward(second.y, in.delta, saved, ctx);
  return {second.sum, in.delta, true};
}

}  // namespace weft
