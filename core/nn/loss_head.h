// LossHead: output projection to the vocabulary and cross-entropy, in row chunks, so that the
// logits of a chunk are the only ones in memory.
//
// In training nothing happens in forward: backward computes logits, loss and gradients of a chunk
// in one go, which costs no recomputation and keeps no logits between the passes.
//
// A vocabulary cut over the tensor-parallel ranks is never gathered: the ranks exchange the maximum
// and the sum of each row (Megatron-LM, arXiv 1909.08053, section 3).
#pragma once

#include "core/nn/context.h"

namespace weft {

class LossHead {
 public:
  // weight [V,C], the token embedding's when tied; V of this rank.
  explicit LossHead(Parameter& weight) : weight_(weight) {}

  // x [S,C], targets [R] i32 (< 0: ignored). Adds the sum of row losses to loss_sum (f64 [1]).
  void loss(const Tensor& x, const Tensor& targets, const Tensor& loss_sum, Context& ctx);

  // As loss, and: dx [S,C] (=) and dW += gradients of grad_scale * (sum of row losses), of which
  // ctx is notified.
  void backward(const Tensor& x, const Tensor& targets, double grad_scale, const Tensor& loss_sum,
                const Tensor& dx, Context& ctx);

  // logits [n,V] (=) of x [n,C], rows that this rank has whole.
  void logits(const Tensor& x, const Tensor& out, Context& ctx);

 private:
  // Calls body(begin, end, logits, row_max, row_sum) for each chunk of the rows x [R,C], after its
  // logits and softmax statistics are there and its loss is added.
  template <typename Body>
  void for_each_chunk(const Tensor& x, const Tensor& targets, const Tensor& loss_sum, Context& ctx,
                      const Body& body);

  Parameter& weight_;
};

}  // namespace weft
