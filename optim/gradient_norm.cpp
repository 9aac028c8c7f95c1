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
  norm_ = arena.allocate({1}, DType::f64);
  clip_ = arena.allocate({1}, DType::f32);
}

void GradientNorm::compute(double max_norm, Ops& ops, Stream& stream) {
  int64_t begin = 0;
  for (const auto& p : parameters_) {
    const int64_t end = begin + blocks(*p);
    ops.sum_squares(p->grad, partials_.slice(begin, end), stream);
    begin = end;
  }
  ops.clip_factor(partials_, max_norm, norm_, clip_, stream);
}

}  // namespace weft
