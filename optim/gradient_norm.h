// Global gradient norm and the factor that clips it.
#pragma once

#include "core/dist/parameter.h"
#include "core/ops/ops.h"

namespace weft {

class GradientNorm {
 public:
  explicit GradientNorm(ParameterSet& parameters) : parameters_(parameters) {}

  // Lays out the partial sums and the two results in `arena`.
  void allocate(Arena& arena);

  // Leaves the 2-norm over all gradients in norm() and the clip factor in clip(). Each parameter is
  // summed in blocks of Ops::kNormBlock elements in f64, the blocks in index order.
  void compute(double max_norm, Ops& ops, Stream& stream);

  const Tensor& norm() const { return norm_; }  // f64 [1], on the device
  const Tensor& clip() const { return clip_; }  // f32 [1], on the device

 private:
  ParameterSet& parameters_;
  Tensor partials_;
  Tensor norm_;
  Tensor clip_;
};

}  // namespace weft
