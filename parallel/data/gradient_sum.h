// GradientSum: what becomes of the gradients that backward adds up, until this rank owns their sum
// over all micro-batches and ranks.
#pragma once

#include "core/mesh/mesh.h"
#include "core/mesh/parameter.h"
#include "core/ops/ops.h"

namespace weft {

class GradientSum : public GradientListener, public UnitListener {
 public:
  // Before the first backward of a step, in which every gradient becomes ready `micro_batches`
  // times.
  virtual void begin(int64_t micro_batches) = 0;
  // Makes `stream` wait for all sums; a WEFT_CHECK fails if a gradient is missing. Afterwards what
  // this rank owns of each gradient is the sum, and what it does not own is zero.
  virtual void finish(Stream& stream) = 0;
  void before_unit(int64_t, Pass, Stream&) override {}
};

// The sum over the tensor-parallel ranks of a gradient of which each has a part; nothing for
// others.
inline void sum_over_tensor_ranks(const Parameter& parameter, Mesh& mesh, Stream& stream) {
  if (mesh.shape().tp == 1 || !parameter.spec.place.grad_partial.contains(Axis::tp)) return;
  mesh.axis(Axis::tp).all_reduce(parameter.grad, ReduceOp::sum, stream);
}

// Moves what this rank owns of the gradients of aliases to the parameters they stand for.
inline void add_alias_gradients(const ParameterSet& parameters, Ops& ops, Stream& stream) {
  for (const auto& alias : parameters.aliases()) {
    if (alias->own.size() == 0) continue;
    const Tensor& sum = alias->alias_of->own_grad;
    ops(op::Add{.a = sum, .b = alias->own_grad, .y = sum}, stream);
    ops(op::Fill{.x = alias->own_grad, .value = 0}, stream);
  }
}

}  // namespace weft
