// The core of attention where ranks share each sequence (Liu et al., arXiv 2310.01889): every rank
// keeps its queries; blocks of keys and values go round the ring of the context-parallel group, and
// the next one travels while attention over the present one is computed. Without a group it is one
// call of the operation.
#pragma once

#include "core/nn/context.h"

namespace weft {

// qkv [B,T,(heads + 2 kv_heads) * head_dim] of the local tokens -> out [B,T,heads * head_dim] and
// lse [B,heads,T] (=). args.queries are the local tokens; keys and merge are set here.
void ring_attention_forward(AttentionSpec args, const Tensor& qkv, const Tensor& out,
                            const Tensor& lse, Context& ctx);

// dout like out -> dqkv like qkv (=). The gradients of a block of keys and values follow it round
// the ring one step behind, collect what every rank adds, and so come home.
void ring_attention_backward(AttentionSpec args, const Tensor& dout, const Tensor& qkv,
                             const Tensor& out, const Tensor& lse, const Tensor& dqkv,
                             Context& ctx);

}  // namespace weft
