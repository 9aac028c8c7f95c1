#include "core/model/block.h"

#include <ranges>

namespace weft {
namespace {

Activation activation_of(GptConfig::Activation a) {
  switch (a) {
    case GptConfig::Activation::gelu_tanh:
      return Activation::gelu_tanh;
    case GptConfig::Activation::gelu:
      return Activation::gelu;
    case GptConfig::Activation::relu:
      return Activation::relu;
  }
  return Activation::none;
}

}  // namespace

Block::Block(const GptConfig& c, int64_t index, const ParameterSet& set) {
  const std::string h = "h." + std::to_string(index) + ".";
  halves_.push_back(
      {Norm(set, h + "ln_1", c.norm_eps),
       Attention(set, h + "attn",
                 {.heads = c.heads, .head_dim = c.head_dim(), .dropout = c.dropout})});
  halves_.push_back({Norm(set, h + "ln_2", c.norm_eps),
                     Mlp(set, h + "mlp", activation_of(c.activation), c.dropout)});
}

Residual Block::run(const Residual& in, bool last_product, Saved& saved, Context& ctx) {
  const bool keep = ctx.recompute != Recompute::selective;
  Residual residual = in;
  for (Half& half : halves_) {
    const Norm::Output norm =
        half.norm.forward(residual.x, residual.pending_delta(), keep, saved, ctx);
    const bool wanted = last_product || &half != &halves_.back();
    std::visit(
        [&](auto& branch) { branch.forward(norm.y, wanted ? in.delta : Tensor(), saved, ctx); },
        half.branch);
    half.norm.push(norm, keep, saved);
    residual = {norm.sum, in.delta, true};
  }
  return residual;
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
  ctx.ops(op::Add{.a = sum.x, .b = sum.delta, .y = out.x}, ctx.stream);
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
    ctx.ops(op::Copy{.from = dres, .to = branch}, ctx.stream);
    return branch;
  };
  const Tensor dy = ctx.work.allocate(dres.shape(), dres.dtype());
  for (Half& half : std::views::reverse(halves_)) {
    ArenaScope scope(ctx.work);
    const Norm::Output norm = half.norm.pop(saved, ctx);
    const Tensor x = lasting(norm.y, norm.recomputed, saved, ctx);
    std::visit([&](auto& b) { b.backward(x, branch_gradient(), dy, saved, ctx); }, half.branch);
    half.norm.backward(norm, dy, dres, ctx);
  }
}

void Block::backward_weights(Saved& saved, Context& ctx) {
  for (Half& half : std::views::reverse(halves_)) {
    std::visit([&](auto& branch) { branch.backward_weights(saved, ctx); }, half.branch);
  }
}

Residual Block::decode(const Residual& in, int64_t past, const KvCache& cache, Saved& saved,
                       Context& ctx) {
  Residual residual = in;
  for (Half& half : halves_) {
    const Norm::Output norm =
        half.norm.forward(residual.x, residual.pending_delta(), true, saved, ctx);
    if (auto* attention = std::get_if<Attention>(&half.branch)) {
      attention->decode(norm.y, past, cache, in.delta, saved, ctx);
    } else {
      std::get<Mlp>(half.branch).forward(norm.y, in.delta, saved, ctx);
    }
    residual = {norm.sum, in.delta, true};
  }
  return residual;
}

}  // namespace weft
