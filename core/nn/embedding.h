// Embedding: token vectors plus position vectors. A vocabulary cut over the tensor-parallel ranks
// gives each rank a part of the sum, whose rows are then shared out.
#pragma once

#include <string>

#include "core/nn/dropout.h"
#include "core/nn/shared_rows.h"

namespace weft {

class Embedding {
 public:
  // TOKENS.weight [V,C] and, where the set has it, POSITIONS.weight [context,C]; without, a fixed
  // table may be given to each call (sinusoidal), or none.
  Embedding(const ParameterSet& set, const std::string& tokens, const std::string& positions,
            double dropout)
      : tokens_(set.at(tokens + ".weight")),
        positions_(set.find(positions + ".weight")),
        dropout_(dropout, "embedding.dropout") {}

  // tokens [B,T] i32, `first_position` behind the positions of the context's -> y [S,C] (=).
  void forward(const Tensor& tokens, const Tensor& fixed_positions, int64_t first_position,
               const Tensor& y, Context& ctx) {
    ArenaScope scope(ctx.work);
    Tensor table = positions_ == nullptr ? fixed_positions : positions_->value;
    if (!ctx.first_tensor_rank()) table = Tensor();  // the sum has them once
    const Tensor partial = partial_rows(y, ctx);
    TokenShare places = ctx.tokens;
    places.first += first_position;
    places.second += first_position;
    ctx.ops(op::EmbeddingForward{.tokens = tokens,
                                 .table = tokens_.value,
                                 .vocab_begin = tokens_.first_row,
                                 .positions = table,
                                 .places = places,
                                 .y = partial.view(all_rows(tokens, y))},
            ctx.stream);
    sum_and_share(partial, y, ctx);
    dropout_.apply(y, ctx);
  }

  // dy [S,C], destroyed when dropout applies.
  void backward(const Tensor& tokens, const Tensor& dy, Context& ctx) {
    ArenaScope scope(ctx.work);
    dropout_.apply(dy, ctx);
    const Tensor all_dy = gather_rows(dy, ctx);
    ctx.ops(op::EmbeddingBackward{.tokens = tokens,
                                  .dy = all_dy.view(all_rows(tokens, dy)),
                                  .vocab_begin = tokens_.first_row,
                                  .dtable = tokens_.grad,
                                  .dpositions = positions_ == nullptr ? Tensor() : positions_->grad,
                                  .places = ctx.tokens},
            ctx.stream);
    ctx.ready(positions_);
    ctx.ready(tokens_);
  }

 private:
  static Shape all_rows(const Tensor& tokens, const Tensor& y) {
    return {tokens.shape()[0], tokens.shape()[1], y.shape().back()};
  }

  Parameter& tokens_;
  Parameter* positions_;
  Dropout dropout_;
};

}  // namespace weft
