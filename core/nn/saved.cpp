#include "core/nn/saved.h"

#include "core/nn/context.h"

namespace weft {

Saved::State Saved::state() const {
  State s;
  s.stack = stack_;
  s.deferred = deferred_;
  s.frames = frames_;
  s.next_deferred = next_deferred_;
  s.used = arena_.used();
  s.deferred_used = deferred_arena_.used();
  return s;
}

void Saved::restore(const State& s) {
  stack_ = s.stack;
  deferred_ = s.deferred;
  frames_ = s.frames;
  next_deferred_ = s.next_deferred;
  arena_.restore(s.used);
  deferred_arena_.restore(s.deferred_used);
}

Tensor lasting(const Tensor& x, bool temporary, Saved& saved, Context& ctx) {
  if (!ctx.defer_weights || !(temporary || saved.elsewhere())) return x;
  const Tensor copy = saved.allocate_deferred(x.shape(), x.dtype());
  ctx.ops(op::Copy{.from = x, .to = copy}, ctx.stream);
  return copy;
}

}  // namespace weft
