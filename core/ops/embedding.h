// Token and position vectors of tokens.
#pragma once

#include "core/ops/op.h"
#include "core/ops/token_share.h"

namespace weft {
namespace op {

// y[b,t] = table[token - vocab_begin] (0 if outside the table's rows) + positions[places.at(t)]
// (if present); places.count is T.
struct EmbeddingForward {
  static constexpr OpName kName{"embedding_forward", OpFamily::embedding};

  Tensor tokens;  // i32 [B,T]
  Tensor table;   // [V,C]
  int64_t vocab_begin = 0;
  Tensor positions;  // [P,C], optional
  TokenShare places = {};
  Tensor y;  // [B,T,C] =

  void check() const;
  Cost cost() const { return moved({y, y}); }
  SizeTensors sizes() const { return {tokens, table}; }
};

// Equal tokens are summed in token order.
struct EmbeddingBackward {
  static constexpr OpName kName{"embedding_backward", OpFamily::embedding};

  Tensor tokens;  // i32 [B,T]
  Tensor dy;      // [B,T,C]
  int64_t vocab_begin = 0;
  Tensor dtable;      // [V,C] += of A
  Tensor dpositions;  // [P,C] += of A, optional
  TokenShare places = {};

  void check() const;
  Cost cost() const { return moved({dy, dy, dy}); }
  SizeTensors sizes() const { return {tokens, dtable}; }
};

}  // namespace op

using EmbeddingOps = Types<op::EmbeddingForward, op::EmbeddingBackward>;

}  // namespace weft
