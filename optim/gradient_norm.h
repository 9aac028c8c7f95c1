// Global gradient norm and the factor that clips it.
//
//   norm.compute(max_norm, loss_scale, ops, stream);  // norm() and clip(), the same everywhere
//
// Each block of kNormBlock elements is summed by its owner, in f64, into a slot that is its
// alone; adding the zeros of the others is exact. The slots are then summed in index order, which
// depends neither on dp nor on the ZeRO stage nor on pp, and so does not the norm's last bit.
#pragma once

#include <memory>
#include <vector>

#include "core/mesh/mesh.h"
#include "core/mesh/parameter.h"
#include "core/ops/ops.h"

namespace weft {

class GradientNorm {
 public:
  // All are borrowed. Sums over the ranks that share optimizer state run on `communication`.
  GradientNorm(ParameterSet& parameters, Mesh& mesh, Device& device, Stream& communication);

  // Lays out the sums and the results in `arena`, after the parameters.
  void allocate(Arena& arena);

  // The 2-norm over all gradients in norm(), the factor that limits it to max_norm in clip().
  // Where gradients are those of the loss times loss_scale (f32 [1], may be absent), norm() is that
  // of the loss's own, and clip() takes them there. All ranks call it.
  void compute(double max_norm, const Tensor& loss_scale, Ops& ops, Stream& stream);

  const Tensor& norm() const { return norm_; }  // f64 [1], on the device
  const Tensor& clip() const { return clip_; }  // f32 [1], on the device

 private:
  // The sums of squares of the blocks this rank owns, zeros in the slots of all others. Replicas on
  // the tensor-parallel axis count on its first rank.
  void sum_blocks(Ops& ops, Stream& stream);
  // Over the ranks that own other blocks of this tensor-parallel coordinate.
  void complete_blocks(Stream& stream);
  // The blocks in index order, then the ranks of the tensor-parallel axis in rank order.
  void combine(double max_norm, const Tensor& loss_scale, Ops& ops, Stream& stream);

  ParameterSet& parameters_;
  Mesh& mesh_;
  Stream& communication_;
  std::unique_ptr<Event> handover_;
  std::vector<BlockSquares> sums_;  // of what this rank owns
  Tensor blocks_;     // f64, one slot for each block of all parameters of this coordinate
  Tensor rank_sums_;  // f64 [tp], each rank's sum in its slot
  Tensor norm_;
  Tensor clip_;
};

}  // namespace weft
