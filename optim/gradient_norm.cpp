#include "optim/gradient_norm.h"

namespace weft {
namespace {

int64_t blocks(const Parameter& p) {
  return (p.local.elements() + Ops::kNormBlock - 1) / Ops::kNormBlock;
}

}  // namespace

void GradientNorm::allocate(Arena& arena) {
  int64_t total = 0;
  for (const auto& p : parameters_) total += blocks(*p);
  partials_ = arena.allocate({total}, DType::f64);
  rank_sums_ = arena.allocate({parameters_.mesh().tp}, DType::f64);
  norm_ = arena.allocate({1}, DType::f64);
  clip_ = arena.allocate({1}, DType::f32);
}

void GradientNorm::compute(double max_norm, Mesh& mesh, Ops& ops, Stream& stream) {
  const int tp = mesh.shape().tp;
  int64_t begin = 0;
  for (const auto& p : parameters_) {
    const int64_t end = begin + blocks(*p);
    const Tensor sums = partials_.slice(begin, end);
    if (mesh.coord().tp == 0 || is_split(p->spec, Axis::tp)) {
      ops.sum_squares(p->grad, sums, stream);
    } else {
      ops.fill(sums, 0, stream);
    }
    begin = end;
  }
  if (tp == 1) {
    ops.clip_factor(partials_, max_norm, norm_, clip_, stream);
    return;
  }
  // The square of this rank's norm goes to its slot; adding zeros to it is exact.
  ops.clip_factor(partials_, 0, norm_, clip_, stream);
  ops.fill(rank_sums_, 0, stream);
  ops.sum_squares(norm_, rank_sums_.slice(mesh.coord().tp, mesh.coord().tp + 1), stream);
  mesh.axis(Axis::tp).all_reduce(rank_sums_, ReduceOp::sum, stream);
  ops.clip_factor(rank_sums_, max_norm, norm_, clip_, stream);
}

}  // namespace weft
