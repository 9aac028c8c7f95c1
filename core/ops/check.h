// The shape rules of the operations, once for all backends. Each function states what its op in
// ops.h documents; a violation is our own bug and fails a WEFT_CHECK that prints the shapes.
#pragma once

#include "core/ops/ops.h"

namespace weft {

void check_attention_forward(const AttentionArgs& args, const Tensor& qkv, const Tensor& kv,
                             const Tensor& out, const Tensor& lse);
void check_attention_backward(const AttentionArgs& args, const Tensor& dout, const Tensor& qkv,
                              const Tensor& kv, const Tensor& out, const Tensor& lse,
                              const Tensor& dqkv, const Tensor& dkv);
void check_attention_decode(const AttentionArgs& args, const Tensor& qkv, int64_t past,
                            const Tensor& k_cache, const Tensor& v_cache, const Tensor& out);
void check_dropout(const DropoutArgs& args, const Tensor& x, const Tensor& y);
void check_add(const Tensor& a, const Tensor& b, const Tensor& y);
void check_float(const Tensor& x);  // scale
void check_copy(const Tensor& from, const Tensor& to);
void check_copy_last_columns(const Tensor& from, const Tensor& to);
void check_copy_stochastic(const Tensor& from, const Tensor& to, const ElementMap& elements);

}  // namespace weft
