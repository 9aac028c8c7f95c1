#include "optim/gradient_norm.h"

namespace weft {
namespace {

int64_t block_count(int64_t elements) { return (elements + kNormBlock - 1) / kNormBlock; }

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
    const int64_t begin = (p->position + p->own.begin) / kNormBlock;
    sums_.push_back(
        {.x = p->own_grad, .partials = blocks_.slice(begin, begin + block_count(p->own.size()))});
  }
}

void GradientNorm::sum_blocks(Ops& ops, Stream& stream) {
  ops(op::Fill{.x = blocks_, .value = 0}, stream);
  ops(op::SumSquares{.tensors = sums_}, stream);
}

void GradientNorm::combine(double max_norm, const Tensor& loss_scale, Mesh& mesh, Ops& ops,
                           Stream& stream) {
  if (mesh.shape().tp == 1) {
    ops(op::ClipFactor{.partials = blocks_,
                       .max_norm = max_norm,
                       .loss_scale = loss_scale,
                       .norm = norm_,
                       .clip = clip_},
        stream);
    return;
  }
  // The square of this rank's norm goes to its slot; adding zeros to it is exact.
  const int64_t slot = mesh.coord().tp;
  ops(op::ClipFactor{.partials = blocks_, .norm = norm_, .clip = clip_}, stream);
  ops(op::Fill{.x = rank_sums_, .value = 0}, stream);
  const BlockSquares own{.x = norm_, .partials = rank_sums_.slice(slot, slot + 1)};
  ops(op::SumSquares{.tensors = {&own, 1}}, stream);
  mesh.axis(Axis::tp).all_reduce(rank_sums_, ReduceOp::sum, stream);
  ops(op::ClipFactor{.partials = rank_sums_,
                     .max_norm = max_norm,
                     .loss_scale = loss_scale,
                     .norm = norm_,
                     .clip = clip_},
      stream);
}

}  // namespace weft
