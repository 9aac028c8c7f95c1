#include "core/nn/attention.h"

#include <cmath>

#include "core/nn/ring_attention.h"

namespace weft {
namespace {

// [B,T,width]: all rows, whoever shares the residual stream.
Shape all_rows(const Context& ctx, int64_t width) { return {ctx.samples, ctx.tokens.count, width}; }

}  // namespace

Attention::Attention(const AttentionShape& shape, const Linear& qkv, const Linear& projection,
                     double dropout, const std::string& name)
    : shape_(shape),
      qkv_(qkv),
      projection_(projection),
      dropout_(dropout),
      dropout_stream_(stream_of(name + ".dropout")),
      residual_dropout_(dropout, name + ".residual_dropout") {}

AttentionArgs Attention::args(const Context& ctx) const {
  return {.heads = shape_.heads,
          .kv_heads = shape_.kv_heads,
          .head_dim = shape_.head_dim,
          .first_head = shape_.first_head,
          .global_heads = shape_.global_heads,
          .scale = 1.0 / std::sqrt(static_cast<double>(shape_.head_dim)),
          .dropout = ctx.dropout ? dropout_ : 0.0,
          .dropout_key = ctx.random(dropout_stream_),
          .first_sample = ctx.first_sample,
          .queries = ctx.tokens};
}

Attention::Core Attention::allocate_core(bool keep, const Tensor& qkv, Saved& saved,
                                         Context& ctx) const {
  const Shape out = all_rows(ctx, projection_.in());
  const Shape lse{ctx.samples, shape_.heads, ctx.tokens.count};
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

int64_t Attention::saved_bytes(const ActivationSizes& sizes) const {
  size_t bytes = Arena::taken(sizes.all_rows * qkv_.out(), sizes.dtype);
  if (sizes.recompute != Recompute::selective) {
    bytes += Arena::taken(sizes.all_rows * projection_.in(), sizes.dtype);
    bytes += Arena::taken(sizes.all_rows * shape_.heads, accumulator(sizes.dtype));
  }
  return static_cast<int64_t>(bytes);
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
  ctx.ops.attention_decode(args(ctx), qkv, past, cache.k, cache.v, out, ctx.stream);
  projection_.forward(out, y, ctx);
}

}  // namespace weft
