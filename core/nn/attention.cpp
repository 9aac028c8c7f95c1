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

void Attention::forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx) {
  const Tensor qkv = saved.allocate(all_rows(ctx, qkv_.out()), x.dtype());
  const Tensor out = saved.allocate(all_rows(ctx, projection_.in()), x.dtype());
  const Tensor lse = saved.allocate({ctx.samples, shape_.heads, ctx.tokens.count}, x.dtype());
  qkv_.forward(x, qkv, saved, ctx);
  ring_attention_forward(args(ctx), qkv, out, lse, ctx);
  saved.push(qkv);
  saved.push(lse);
  projection_.forward(out, y, saved, ctx);
  residual_dropout_.apply(y, ctx);
}

void Attention::backward(const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx) {
  ArenaScope scope(ctx.work);
  residual_dropout_.apply(dy, ctx);
  const Tensor out = saved.peek(0);  // also the projection's input
  const Tensor dout = ctx.work.allocate(out.shape(), out.dtype());
  projection_.backward(dy, dout, saved, ctx);
  const Tensor lse = saved.pop();
  const Tensor qkv = saved.pop();
  const Tensor dqkv = ctx.work.allocate(qkv.shape(), qkv.dtype());
  ring_attention_backward(args(ctx), dout, qkv, out, lse, dqkv, ctx);
  qkv_.backward(dqkv, dx, saved, ctx);
}

void Attention::backward_weights(Saved& saved, Context& ctx) {
  projection_.backward_weights(saved, ctx);
  qkv_.backward_weights(saved, ctx);
}

void Attention::decode(const Tensor& x, int64_t past, const KvCache& cache, const Tensor& y,
                       Saved& saved, Context& ctx) {
  const Tensor qkv = saved.allocate(all_rows(ctx, qkv_.out()), x.dtype());
  const Tensor out = saved.allocate(all_rows(ctx, projection_.in()), x.dtype());
  qkv_.forward(x, qkv, saved, ctx);
  ctx.ops.attention_decode(args(ctx), qkv, past, cache.k, cache.v, out, ctx.stream);
  projection_.forward(out, y, saved, ctx);
}

}  // namespace weft
