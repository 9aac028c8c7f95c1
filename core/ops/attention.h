// Causal multi-head attention. No Tq x Tk tensor is ever in memory (arXiv 2205.14135), and pairs of
// blocks that the mask hides cost nothing.
#pragma once

#include "core/base/philox.h"
#include "core/ops/op.h"
#include "core/ops/token_share.h"

namespace weft {

// Heads, tokens and dropout of a call. With dropout, probability (b, h, i, j) of global tokens i
// and j is element ((global sample * global heads + first_head + h) * T + i) * T + j of its key,
// where global sample = first_sample + b and T the length of a whole sequence.
struct AttentionSpec {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t first_head = 0;    // global number of head 0, where heads are cut over ranks
  int64_t global_heads = 0;  // of all ranks; 0 means `heads`
  double scale = 0;          // multiplies q k^T
  double dropout = 0;
  RandomKey dropout_key = {};
  int64_t first_sample = 0;
  TokenShare queries = {};
  TokenShare keys = {};
  // Whether other blocks of keys came before: forward then adds this block's part to the softmax in
  // out and lse, and backward adds to the gradient of the queries. Without it, each query must see
  // at least one key.
  bool merge = false;
};

namespace op {

// qkv holds the packed projections of the local tokens: q heads, then k heads, then v heads. kv
// holds keys and values in its last columns, k heads, then v heads: it may be qkv itself, or a
// block of keys and values of other tokens. Query i sees the keys whose global token is not behind
// its own. out and lse = (merged when spec.merge).
struct AttentionForward {
  static constexpr OpName kName{"attention_forward", OpFamily::attention};

  AttentionSpec spec = {};
  Tensor qkv;  // [B,Tq,(heads + 2 kv_heads) * head_dim]
  Tensor kv;   // [B,Tk,>= 2 kv_heads * head_dim]
  Tensor out;  // [B,Tq,heads * head_dim]
  Tensor lse;  // [B,heads,Tq] of A: log of the softmax denominator, with the maximum added back;
               // absent when nobody needs it

  void check() const;
  Cost cost() const;
  SizeTensors sizes() const { return {qkv, kv}; }
};

// The part of one block of keys, from out and lse of all blocks. Other columns of dqkv and dkv stay
// as they are.
struct AttentionBackward {
  static constexpr OpName kName{"attention_backward", OpFamily::attention};

  AttentionSpec spec = {};
  Tensor dout;
  Tensor qkv, kv, out, lse;  // as in forward
  Tensor dqkv;               // like qkv: the columns of the queries = (+= when spec.merge)
  Tensor dkv;  // like kv: its last columns = the gradient of the block's keys and values; may be
               // dqkv itself

  void check() const;
  Cost cost() const;
  SizeTensors sizes() const { return {qkv, kv}; }
};

// Generation: the tokens of qkv are positions [past, past + n); their k and v are stored into the
// caches and q attends to positions [0, own position]. The token shares of spec have no meaning
// here.
struct AttentionDecode {
  static constexpr OpName kName{"attention_decode", OpFamily::attention};

  AttentionSpec spec = {};
  Tensor qkv;  // [B,n,(heads + 2 kv_heads) * head_dim]
  int64_t past = 0;
  Tensor k_cache, v_cache;  // [B,capacity,kv_heads * head_dim]
  Tensor out;               // [B,n,heads * head_dim] =

  void check() const;
  Cost cost() const;
  SizeTensors sizes() const { return {qkv, k_cache}; }
};

}  // namespace op

using AttentionOps = Types<op::AttentionForward, op::AttentionBackward, op::AttentionDecode>;

}  // namespace weft
