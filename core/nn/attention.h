// Causal multi-head self-attention: fused q|k|v projection, attention core, output projection.
#pragma once

#include "core/nn/dropout.h"
#include "core/nn/linear.h"

namespace weft {

// Keys and values of one layer for generation: [B,capacity,kv_heads * head_dim] each.
struct KvCache {
  Tensor k, v;
};

struct AttentionShape {
  int64_t heads = 0;  // of this rank
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t first_head = 0;    // global number of head 0
  int64_t global_heads = 0;  // of all ranks
};

class Attention {
 public:
  // `name` is the logical prefix ("h.0.attn"), for randomness.
  Attention(const AttentionShape& shape, const Linear& qkv, const Linear& projection,
            double dropout, const std::string& name);

  // x [S,C] -> y [S,C] (=). Keeps the core's output unless ctx.recompute is selective.
  void forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx);
  // x as in forward, dy [S,C] (destroyed when dropout applies) -> dx [S,C] (=).
  void backward(const Tensor& x, const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx);
  void backward_weights(Saved& saved, Context& ctx);
  // What forward takes of `saved`'s memory.
  int64_t saved_bytes(const ActivationSizes& sizes) const;
  // Generation, on one rank: x [B * n,C] at positions [past, past + n); appends to the cache.
  void decode(const Tensor& x, int64_t past, const KvCache& cache, const Tensor& y, Saved& saved,
              Context& ctx);

 private:
  // What the core makes of q, k and v.
  struct Core {
    Tensor out;  // [B,T,H*D]
    Tensor lse;  // [B,H,T], of the accumulator's type
  };

  AttentionArgs args(const Context& ctx) const;
  Core allocate_core(bool keep, const Tensor& qkv, Saved& saved, Context& ctx) const;
  void forward_core(const Tensor& qkv, const Core& core, Context& ctx);

  AttentionShape shape_;
  Linear qkv_;
  Linear projection_;
  double dropout_;
  uint32_t dropout_stream_;
  Dropout residual_dropout_;
};

}  // namespace weft
