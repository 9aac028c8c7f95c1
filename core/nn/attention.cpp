#include "core/nn/attention.h"

#include <cmath>

#include "core/nn/ring_attention.h"

namespace weft {
namespace {

// [B,T,width]: all rows, whoever shares the residual stream.
Shape all_rows(const Context& ctx, int64_t width) { return {ctx.samples, ctx.tokens.count, width}; }

}  // namespace

Attention::Attention(const ParameterSet& set, const std::string& name,
                     const AttentionConfig& config)
    : config_(config),
      qkv_(set, name + ".qkv"),
      projection_(set, name + ".projection"),
      heads_(projection_.in() / config.head_dim),
      dropout_stream_(stream_of(name + ".dropout")),
      residual_dropout_(config.dropout, name + ".residual_dropout") {}

AttentionSpec Attention::args(const Context& ctx) const {
  return {.heads = heads_,
          .kv_heads = heads_,
          .head_dim = config_.head_dim,
          .first_head = qkv_.first_out() / config_.head_dim,
          .global_heads = config_.heads,
          .scale = 1.0 / std::sqrt(static_cast<double>(config_.head_dim)),
          .dropout = ctx.dropout ? config_.dropout : 0.0,
          .dropout_key = ctx.random(dropout_stream_),
          .first_sample = ctx.first_sample,
          .queries = ctx.tokens};
}

Attention::Core Attention::allocate_core(bool keep, const Tensor& qkv, Saved& saved,
                                         Context& ctx) const {
  const Shape out = all_rows(ctx, projection_.in());
  const Shape lse{ctx.samples, heads_, ctx.tokens.count};
  const DType sums = accumulator(qkv.dtype());
  if (keep) return {saved.allocate(out, qkv.dtype()), saved.allocate(lse, sums)};
  return {ctx.work.allocate(out, qkv.dtype()), ctx.work.allocate(lse, sums)};
}

void Attention::forward_core(const Tensor& qkv, const Core& core, Context& ctx) {
  ring_attention_forward(args(ctx), qkv, core.out, core.lse, ctx);
}

void Attention::forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx) {
  const bool keep = ctx.recompute != Recompute::selective;
  const Tensor qkv = saved.allocate(all_rows(ctx, qkv_.out()), x.dtype());
  const Core core = allocate_core(keep, qkv, saved, ctx);
  qkv_.forward(x, qkv, ctx);
  forward_core(qkv, core, ctx);
  saved.push(qkv);
  saved.push(keep ? core.lse : Tensor());
  saved.push(keep ? core.out : Tensor());
  if (y.empty()) return;
  projection_.forward(core.out, y, ctx);
  residual_dropout_.apply(y, ctx);
}

void Attention::backward(const Tensor& x, const Tensor& dy, const Tensor& dx, Saved& saved,
                         Context& ctx) {
  ArenaScope scope(ctx.work);
  Core core;
  core.out = saved.pop();
  core.lse = saved.pop();
  const Tensor qkv = saved.pop();
  const bool recomputed = core.out.empty();
  if (recomputed) {
    core = allocate_core(false, qkv, saved, ctx);
    forward_core(qkv, core, ctx);
  }
  residual_dropout_.apply(dy, ctx);
  const Tensor dout = ctx.work.allocate(core.out.shape(), core.out.dtype());
  projection_.backward(lasting(core.out, recomputed, saved, ctx), dy, dout, saved, ctx);
  const Tensor dqkv = ctx.work.allocate(qkv.shape(), qkv.dtype());
  ring_attention_backward(args(ctx), dout, qkv, core.out, core.lse, dqkv, ctx);
  qkv_.backward(x, dqkv, dx, saved, ctx);
}

void Attention::backward_weights(Saved& saved, Context& ctx) {
  projection_.backward_weights(saved, ctx);
  qkv_.backward_weights(saved, ctx);
}

void Attention::decode(const Tensor& x, int64_t past, const KvCache& cache, const Tensor& y,
                       Saved& saved, Context& ctx) {
  const Tensor qkv = saved.allocate(all_rows(ctx, qkv_.out()), x.dtype());
  const Tensor out = saved.allocate(all_rows(ctx, projection_.in()), x.dtype());
  qkv_.forward(x, qkv, ctx);
  ctx.ops(op::AttentionDecode{.spec = args(ctx),
                              .qkv = qkv,
                              .past = past,
                              .k_cache = cache.k,
                              .v_cache = cache.v,
                              .out = out},
          ctx.stream);
  projection_.forward(out, y, ctx);
}

}  // namespace weft
