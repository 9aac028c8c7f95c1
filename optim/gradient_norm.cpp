#include "optim/gradient_norm.h"

namespace weft {
namespace {

int64_t block_count(int64_t elements) { return (elements + Ops::kNormBlock - 1) / Ops::kNormBlock; }

}  // namespace

void GradientNorm::allocate(Arena& arena) {
  blocks_ = arena.allocate({block_count(parameters_.positions())}, DType::f64);
  rank_sums_ = arena.allocate({parameters_.mesh().tp}, DType::f64);
  norm_ = arena.allocate({1}, DType::f64);
  clip_ = arena.allocate({1}, DType::f32);
  sums_.clear();
  for (const auto& p : parameters_) {
    const bool counts = is_owner(p->spec, parameters_.coord(), {Axis::tp, Axis::pp});
    if (!counts || p->own.size() == 0) continue;
    const int64_t begin = (p->position + p->own.begin) / Ops::kNormBlock;
    sums_.push_back({p->own_grad, blocks_.slice(begin, begin + block_count(p->own.size()))});
  }
}

void GradientNorm::sum_blocks(Ops& ops, Stream& stream) {
  ops.fill(blocks_, 0, stream);
  ops.sum_squares(sums_, stream);
}

void GradientNorm::combine(double max_norm, const Tensor& loss_scale, Mesh& mesh, Ops& ops,
                           Stream& stream) {
  if (mesh.shape().tp == 1) {
    ops.clip_factor(blocks_, max_norm, loss_scale, norm_, clip_, stream);
    return;
  }
  // The square of this rank's norm goes to its slot; adding zeros to it is exact.
  const int64_t slot = mesh.coord().tp;
  ops.clip_factor(blocks_, 0, {}, norm_, clip_, stream);
  ops.fill(rank_sums_, 0, stream);
  const SquareSums own{norm_, rank_sums_.slice(slot, slot + 1)};
  ops.sum_squares({&own, 1}, stream);
  mesh.axis(Axis::tp).all_reduce(rank_sums_, ReduceOp::sum, stream);
  ops.clip_factor(rank_sums_, max_norm, loss_scale, norm_, clip_, stream);
}

}  // namespace weft
