#include "optim/composite.h"

#include "core/tensor/arena.h"

namespace weft {
namespace {

// Tells of all members in order, once the last part has updated its own, the others being updated
// before.
class InOrder final : public UpdateListener {
 public:
  InOrder(const Optimizer::Members& members, UpdateListener& listener)
      : members_(members), listener_(listener) {}

  void value_updated(const Parameter& parameter, Stream& stream) override {
    tell_until(parameter.index + 1, stream);
  }
  void finish(Stream& stream) {
    if (!members_.empty()) tell_until(members_.back()->index + 1, stream);
  }

 private:
  void tell_until(size_t index, Stream& stream) {
    for (; next_ < members_.size() && members_[next_]->index < index; ++next_) {
      listener_.value_updated(*members_[next_], stream);
    }
  }

  const Optimizer::Members& members_;
  UpdateListener& listener_;
  size_t next_ = 0;
};

}  // namespace

void Composite::allocate(Arena& states, Arena& work) {
  for (const Part& part : parts_) {
    const ArenaScope in_turns(work);
    part.optimizer->allocate(states, work);
  }
}

void Composite::step(const UpdateInputs& inputs, Ops& ops, Stream& stream,
                     UpdateListener* listener) {
  const auto run = [&](const Part& part, UpdateListener* told) {
    UpdateInputs own = inputs;
    own.lr *= part.lr_factor;
    part.optimizer->step(own, ops, stream, told);
  };
  for (size_t i = 0; i + 1 < parts_.size(); ++i) run(parts_[i], nullptr);
  if (listener == nullptr) return run(parts_.back(), nullptr);
  InOrder in_order(members_, *listener);
  run(parts_.back(), &in_order);
  in_order.finish(stream);
}

}  // namespace weft
