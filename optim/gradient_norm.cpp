#include "optim/gradient_norm.h"

namespace weft {
namespace {

int64_t block_count(int64_t elements) { return (elements + kNormBlock - 1) / kNormBlock; }

}  // namespace

GradientNorm::GradientNorm(ParameterSet& parameters, Mesh& mesh, Device& device,
                           Stream& communication)
    : parameters_(parameters),
      mesh_(mesh),
      communication_(communication),
      handover_(device.make_event()) {}

void GradientNorm::allocate(Arena& arena) {
  blocks_ = arena.allocate({block_count(parameters_.positions())}, DType::f64);
  rank_sums_ = arena.allocate({parameters_.mesh().tp}, DType::f64);
  norm_ = arena.allocate({1}, DType::f64);
  clip_ = arena.allocate({1}, DType::f32);
  sums_.clear();
  for (const auto& p : parameters_) {
    const bool counts =
        is_owner(p->spec, parameters_.coord(), every_axis() - replica_axes(p->spec));
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

void GradientNorm::complete_blocks(Stream& stream) {
  if (parameters_.sharding().zero > 0) {
    stream.record(*handover_);
    communication_.wait(*handover_);
    mesh_.group(data_axes()).all_reduce(blocks_, ReduceOp::sum, communication_);
    communication_.record(*handover_);
    stream.wait(*handover_);
  }
  mesh_.axis(Axis::pp).all_reduce(blocks_, ReduceOp::sum, stream);
}

void GradientNorm::compute(double max_norm, const Tensor& loss_scale, Ops& ops, Stream& stream) {
  sum_blocks(ops, stream);
  complete_blocks(stream);
  combine(max_norm, loss_scale, ops, stream);
}

void GradientNorm::combine(double max_norm, const Tensor& loss_scale, Ops& ops, Stream& stream) {
  if (mesh_.shape().tp == 1) {
    ops(op::ClipFactor{.partials = blocks_,
                       .max_norm = max_norm,
                       .loss_scale = loss_scale,
                       .norm = norm_,
                       .clip = clip_},
        stream);
    return;
  }
  // The square of this rank's norm goes to its slot; adding zeros to it is exact.
  const int64_t slot = mesh_.coord().tp;
  ops(op::ClipFactor{.partials = blocks_, .norm = norm_, .clip = clip_}, stream);
  ops(op::Fill{.x = rank_sums_, .value = 0}, stream);
  const BlockSquares own{.x = norm_, .partials = rank_sums_.slice(slot, slot + 1)};
  ops(op::SumSquares{.tensors = {&own, 1}}, stream);
  mesh_.axis(Axis::tp).all_reduce(rank_sums_, ReduceOp::sum, stream);
  ops(op::ClipFactor{.partials = rank_sums_,
                     .max_norm = max_norm,
                     .loss_scale = loss_scale,
                     .norm = norm_,
                     .clip = clip_},
      stream);
}

}  // namespace weft
