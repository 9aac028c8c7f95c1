#include "optim/adamw.h"

namespace weft {
namespace {

constexpr std::string_view kMean = "exp_avg";
constexpr std::string_view kSquare = "exp_avg_sq";

}  // namespace

void AdamW::allocate(Arena& states, Arena&) {
  states_.assign(parameters_.size(), {});
  groups_.clear();
  for (size_t i = 0; i < members_.size(); ++i) {
    const Parameter& p = *members_[i];
    for (size_t s = 0; const std::string_view kind : {kMean, kSquare}) {
      states_[p.index][s++] = {kind, states.allocate({p.own.size()}, config_.state_type())};
    }
    add_to_groups(i);
  }
}

void AdamW::add_to_groups(size_t member) {
  const Parameter& p = *members_[member];
  if (groups_.empty() || members_[groups_.back().begin]->unit != p.unit) {
    groups_.push_back({member, member, {}});
  }
  Group& group = groups_.back();
  group.end = member + 1;
  const auto& [mean, square] = states_[p.index];
  for (const OwnedRun& run : owned_runs(config_, parameters_, p)) {
    group.tensors.push_back({.weight = run.of(p.own_master),
                             .grad = run.of(p.own_grad),
                             .exp_avg = run.of(mean.own),
                             .exp_avg_sq = run.of(square.own),
                             .rounded = parameters_.has_masters() ? run.of(p.own_value) : Tensor(),
                             .weight_decay = p.spec.decay ? config_.weight_decay : 0.0,
                             .rounding = {.seed = seed_,
                                          .weight = rounding_stream(run, kRoundedWeight),
                                          .exp_avg = rounding_stream(run, kMean),
                                          .exp_avg_sq = rounding_stream(run, kSquare),
                                          .elements = run.elements}});
  }
}

void AdamW::step(const UpdateInputs& inputs, Ops& ops, Stream& stream, UpdateListener* listener) {
  for (const Group& group : groups_) {
    if (!group.tensors.empty()) {
      ops(op::AdamW{.tensors = group.tensors,
                    .grad_scale = inputs.clip,
                    .update = inputs.update,
                    .lr = inputs.lr,
                    .beta1 = config_.beta1,
                    .beta2 = config_.beta2,
                    .eps = config_.eps,
                    .stochastic = rounds_at_random(config_, *members_[group.begin])},
          stream);
    }
    if (listener == nullptr) continue;
    for (size_t i = group.begin; i < group.end; ++i) listener->value_updated(*members_[i], stream);
  }
}

}  // namespace weft
