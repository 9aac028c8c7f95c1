#include "optim/adamw.h"

namespace weft {

void AdamW::allocate(Arena& arena) {
  states_.clear();
  for (const auto& p : parameters_) {
    const Tensor exp_avg = arena.allocate({p->own.size()}, DType::f32);
    states_.push_back({exp_avg, arena.allocate({p->own.size()}, DType::f32)});
  }
}

void AdamW::step(double lr, const Tensor& clip, const Tensor& update, Ops& ops, Stream& stream,
                 UpdateListener* listener) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    if (p.own.size() > 0 && !p.frozen) {
      ops.adamw({.weight = p.own_value,
                 .grad = p.own_grad,
                 .exp_avg = states_[i].exp_avg,
                 .exp_avg_sq = states_[i].exp_avg_sq,
                 .grad_scale = clip,
                 .update = update,
                 .lr = lr,
                 .beta1 = config_.beta1,
                 .beta2 = config_.beta2,
                 .eps = config_.eps,
                 .weight_decay = p.spec.decay ? config_.weight_decay : 0.0},
                stream);
    }
    if (listener != nullptr) listener->value_updated(p, stream);
  }
}

}  // namespace weft
