// Causal multi-head self-attention: fused q|k|v projection, attention core, output projection.
#pragma once

#include "core/nn/dropout.h"
#include "core/nn/linear.h"
#include "core/nn/saved.h"

namespace weft {

// Keys and values of one layer for generation: [B,capacity,kv_heads * head_dim] each.
struct KvCache {
  Tensor k, v;
};

struct AttentionConfig {
  int64_t heads = 0;  // of all ranks
  int64_t head_dim = 0;
  double dropout = 0;
};

class Attention {
 public:
  // NAME.qkv and NAME.projection; `name` ("h.0.attn") also tells this use of randomness apart. A
  // rank's heads are those whose projection it holds.
  Attention(const ParameterSet& set, const std::string& name, const AttentionConfig& config);

  // x [S,C] -> y [S,C] (=). An absent y is not computed: where backward repeats the forward. Keeps
  // the core's output unless ctx.recompute is selective.
  void forward(const Tensor& x, const Tensor& y, Saved& saved, Context& ctx);
  // x as in forward, dy [S,C] (destroyed when dropout applies) -> dx [S,C] (=).
  void backward(const Tensor& x, const Tensor& dy, const Tensor& dx, Saved& saved, Context& ctx);
  void backward_weights(Saved& saved, Context& ctx);
  // Generation, on one rank: x [B * n,C] at positions [past, past + n); appends to the cache.
  void decode(const Tensor& x, int64_t past, const KvCache& cache, const Tensor& y, Saved& saved,
              Context& ctx);

 private:
  // What the core makes of q, k and v.
  struct Core {
    Tensor out;  // [B,T,H*D]
    Tensor lse;  // [B,H,T], of the accumulator's type
  };

  AttentionSpec args(const Context& ctx) const;
  Core allocate_core(bool keep, const Tensor& qkv, Saved& saved, Context& ctx) const;
  void forward_core(const Tensor& qkv, const Core& core, Context& ctx);

  AttentionConfig config_;
  Linear qkv_;
  Linear projection_;
  int64_t heads_;  // of this rank
  uint32_t dropout_stream_;
  Dropout residual_dropout_;
};

}  // namespace weft
