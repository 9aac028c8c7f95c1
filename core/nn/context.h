// Context: what a layer needs besides its input.
//
// Shape legend of the layers: B samples of T tokens, R = B * T rows, C width, H heads, D head_dim,
// F mlp width, V vocabulary. With tensor parallelism over N ranks, S = R / N are the rows of this
// rank where rows are shared out (the residual stream: sequence parallelism, arXiv 2205.05198), and
// H, F and V count what this rank holds. Rows are shared out as flat runs of (sample, token) in
// order, so that gathering them needs no reordering.
#pragma once

#include <cstdint>
#include <vector>

#include "core/mesh/communicator.h"
#include "core/mesh/parameter.h"
#include "core/mesh/unit_listener.h"
#include "core/nn/recompute.h"
#include "core/nn/side_stream.h"
#include "core/ops/ops.h"
#include "core/tensor/arena.h"

namespace weft {

// The ranks of an axis as a layer talks to them.
struct AxisGroup {
  Communicator* group = nullptr;  // null where there is nobody to talk to
  // Where its collectives may run under what is computed; null: all are on the compute stream.
  SideStream* side = nullptr;

  int size() const { return group == nullptr ? 1 : group->size(); }
  int rank() const { return group == nullptr ? 0 : group->rank(); }
};

struct Context {
  Ops& ops;
  Stream& stream;
  Arena& work;  // temporaries; every layer leaves it as it found it, but for what it returns
  DType dtype = DType::f32;  // of activations and of the weights that are computed with

  uint64_t seed = 0;
  uint32_t step = 0;
  bool dropout = false;  // whether dropout applies (training)
  // Leaves weight gradients to a later backward_weights() instead of computing them in backward().
  bool defer_weights = false;
  Recompute recompute = Recompute::none;
  // f32 [1] on the device: what the loss's gradient is multiplied with; absent is 1.
  Tensor loss_scale;

  // Which samples and which of their tokens the rows are: positions, the causal mask and randomness
  // follow these.
  int64_t samples = 0;       // B
  int64_t first_sample = 0;  // global number
  TokenShare tokens;         // T = tokens.count
  // Whom this rank shares the model with, by axis: tp shares weights and rows, cp sequences, in the
  // order of TokenShare::zigzag.
  PerAxis<AxisGroup> axes;
  // Notified before each unit of the model; null when weights and gradients are always in place.
  UnitListener* units = nullptr;

  // Notified by each layer when a gradient of its parameters has this micro-batch's share; null
  // when nobody waits for gradients.
  GradientListener* gradients = nullptr;

  void ready(Parameter& parameter) const {
    if (gradients != nullptr) gradients->gradient_ready(parameter, stream);
  }
  void ready(Parameter* parameter) const {
    if (parameter != nullptr) ready(*parameter);
  }

  void before_unit(int64_t unit, Pass pass) const {
    if (units != nullptr) units->before_unit(unit, pass, stream);
  }

  const AxisGroup& tensor() const { return axes[Axis::tp]; }
  bool first_tensor_rank() const { return tensor().rank() == 0; }
  int64_t all_rows() const { return samples * tokens.count; }  // R
  int64_t shared_rows() const {                                // S
    return all_rows() / tensor().size();
  }

  // This rank's rows of the residual stream among those of the whole batch.
  RowMap rows() const {
    const int64_t before = tensor().rank() * shared_rows();
    return {first_sample, before, tokens};
  }

  RandomKey random(uint32_t op_stream) const { return {seed, op_stream, step}; }
};

}  // namespace weft
