// Global gradient norm and the factor that clips it.
#pragma once

#include "core/dist/mesh.h"
#include "core/dist/parameter.h"
#include "core/ops/ops.h"

namespace weft {

class GradientNorm {
 public:
  explicit GradientNorm(ParameterSet& parameters) : parameters_(parameters) {}

  // Lays out the partial sums and the results in `arena`.
  void allocate(Arena& arena);

  // Leaves the 2-norm over all gradients in norm() and the clip factor in clip(). Each parameter is
  // summed in blocks of Ops::kNormBlock elements in f64, the blocks in index order, replicas by one
  // rank; then the ranks of the tensor-parallel axis in rank order. The result is the same
  // everywhere.
  void compute(double max_norm, Mesh& mesh, Ops& ops, Stream& stream);

  const Tensor& norm() const { return norm_; }  // f64 [1], on the device
  const Tensor& clip() const { return clip_; }  // f32 [1], on the device

 private:
  ParameterSet& parameters_;
  Tensor partials_;
  Tensor rank_sums_;  // f64 [tp], each rank's sum in its slot
  Tensor norm_;
  Tensor clip_;
};

}  // namespace weft
