// Embedding: token vectors plus position vectors.
#pragma once

#include "core/dist/parameter.h"
#include "core/nn/dropout.h"

namespace weft {

class Embedding {
 public:
  // tokens [V,C]; positions [context,C] or null, in which case a fixed table may be given to each
  // call (sinusoidal), or none.
  Embedding(Parameter& tokens, Parameter* positions, double dropout)
      : tokens_(tokens), positions_(positions), dropout_(dropout, "embedding.dropout") {}

  // tokens [B,T] i32 at positions [first_position, first_position + T) -> y [B,T,C] (=).
  void forward(const Tensor& tokens, const Tensor& fixed_positions, int64_t first_position,
               const Tensor& y, Context& ctx) {
    const Tensor& table = positions_ == nullptr ? fixed_positions : positions_->value;
    ctx.ops.embedding_forward(tokens, tokens_.value, 0, table, first_position, y, ctx.stream);
    dropout_.apply(y, ctx);
  }

  // dy [B,T,C], destroyed when dropout applies.
  void backward(const Tensor& tokens, const Tensor& dy, Context& ctx) {
    dropout_.apply(dy, ctx);
    const Tensor dpositions = positions_ == nullptr ? Tensor() : positions_->grad;
    ctx.ops.embedding_backward(tokens, dy, 0, tokens_.grad, dpositions, 0, ctx.stream);
  }

 private:
  Parameter& tokens_;
  Parameter* positions_;
  Dropout dropout_;
};

}  // namespace weft
