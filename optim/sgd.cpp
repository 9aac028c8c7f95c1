#include "optim/sgd.h"

#include "optim/weight_rounding.h"

namespace weft {

void Sgd::allocate(Arena& states, Arena&) {
  states_.assign(parameters_.size(), {});
  units_.clear();
  for (Parameter* p : members_) {
    states_[p->index] = {kMomentum, states.allocate({p->own.size()}, config_.state_type())};
    if (units_.empty() || units_.back().members.front()->unit != p->unit) units_.emplace_back();
    add(*p, units_.back());
  }
}

void Sgd::add(Parameter& p, Unit& unit) const {
  unit.members.push_back(&p);
  unit.stochastic = rounds_at_random(config_, p);
  for (const OwnedRun& run : owned_runs(config_, parameters_, p)) {
    const StochasticRounding rounding{.seed = seed_,
                                      .weight = rounding_stream(run, kRoundedWeight),
                                      .exp_avg = rounding_stream(run, kMomentum),
                                      .elements = run.elements};
    const Tensor grad = run.of(p.own_grad);
    unit.momenta.push_back(
        {.grad = grad, .momentum = run.of(states_[p.index].own), .rounding = rounding});
    unit.weights.push_back({.weight = run.of(p.own_master),
                            .grad = grad,
                            .direction = grad,
                            .rounded = parameters_.has_masters() ? run.of(p.own_value) : Tensor(),
                            .weight_decay = p.spec.decay ? config_.weight_decay : 0.0,
                            .rounding = rounding});
  }
}

void Sgd::step(const UpdateInputs& inputs, Ops& ops, Stream& stream, UpdateListener* listener) {
  for (const Unit& unit : units_) {
    if (!unit.momenta.empty()) {
      ops(op::Momentum{.tensors = unit.momenta,
                       .grad_scale = inputs.clip,
                       .update = inputs.update,
                       .decay = config_.momentum,
                       .nesterov = config_.nesterov,
                       .stochastic = unit.stochastic},
          stream);
      ops(op::Descend{.tensors = unit.weights,
                      .update = inputs.update,
                      .lr = inputs.lr,
                      .stochastic = unit.stochastic},
          stream);
    }
    if (listener == nullptr) continue;
    for (const Parameter* p : unit.members) listener->value_updated(*p, stream);
  }
}

}  // namespace weft
