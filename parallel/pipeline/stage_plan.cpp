#include "parallel/pipeline/stage_plan.h"

#include <deque>
#include <map>
#include <utility>

#include "core/base/error.h"
#include "parallel/pipeline/validate.h"

namespace weft {
namespace {

// Places that are taken and given back in turn; there are as many as were ever needed at once.
class Places {
 public:
  // `count` places to begin with.
  explicit Places(int count = 0) {
    while (count_ < count) free_.push_back(count_++);
  }
  int take() {
    if (free_.empty()) return count_++;
    const int place = free_.front();
    free_.pop_front();
    return place;
  }
  void give_back(int place) { free_.push_back(place); }
  int count() const { return count_; }

 private:
  int count_ = 0;
  std::deque<int> free_;
};

class Planner {
 public:
  Planner(const Schedule& schedule, int stage, int spare_grads)
      : schedule_(schedule), stage_(stage), grads_(spare_grads) {}

  StagePlan plan() {
    StagePlan plan;
    for (const Step& step : schedule_.stages[static_cast<size_t>(stage_)]) {
      if (!is_transfer(step.act)) plan.steps.push_back({.step = step});
    }
    for (PlannedStep& p : plan.steps) mark_transfers(p);
    // A message's place is taken one step ahead of the step that needs it.
    for (size_t i = 0; i < plan.steps.size(); ++i) {
      if (i == 0) take_received(plan.steps[0]);
      if (i + 1 < plan.steps.size()) take_received(plan.steps[i + 1]);
      place(plan.steps[i]);
    }
    plan.slots = slots_.count();
    plan.inputs = inputs_.count();
    plan.grads = grads_.count();
    return plan;
  }

 private:
  struct Held {
    int slot = kNoPlace;
    int input = kNoPlace;
  };
  using Unit = std::pair<int, int>;

  bool has_peer(Act act, const Step& unit) const {
    return peer_of(schedule_, stage_, {act, unit.microbatch, unit.chunk}).has_value();
  }
  void mark_transfers(PlannedStep& p) const {
    if (p.step.act == Act::forward) {
      p.receives = has_peer(Act::recv_act, p.step);
      p.sends = has_peer(Act::send_act, p.step);
    } else if (p.step.act == Act::backward) {
      p.receives = has_peer(Act::recv_grad, p.step);
      p.sends = has_peer(Act::send_grad, p.step);
    }
  }

  void take_received(PlannedStep& p) {
    if (!p.receives) return;
    (p.step.act == Act::forward ? p.input : p.grad) =
        (p.step.act == Act::forward ? inputs_ : grads_).take();
  }

  void place(PlannedStep& p) {
    const Unit unit{p.step.microbatch, p.step.chunk};
    Held& held = held_[unit];
    if (p.step.act == Act::forward) {
      held = {slots_.take(), p.input};
    } else if (p.step.act == Act::backward && p.grad == kNoPlace) {
      p.grad = grads_.take();
    }
    p.slot = held.slot;
    p.input = held.input;
    p.frees = p.step.act == last_act();
    if (p.step.act == Act::backward) grads_.give_back(p.grad);
    if (!p.frees) return;
    slots_.give_back(held.slot);
    if (held.input != kNoPlace) inputs_.give_back(held.input);
    held_.erase(unit);
  }

  Act last_act() const {
    if (schedule_.split_backward) return Act::backward_weights;
    return schedule_.forward_only ? Act::forward : Act::backward;
  }

  const Schedule& schedule_;
  int stage_;
  Places slots_, inputs_, grads_;
  std::map<Unit, Held> held_;
};

// Gradients that the stage sends and the stage before has not come for, at most.
int most_unsent(const Schedule& schedule, int stage) {
  const int stages = schedule.stage_count();
  const bool sends = stage > 0 || (stages > 1 && schedule.chunks > 1);
  if (!sends || schedule.forward_only) return 0;
  const int before = (stage + stages - 1) % stages;
  return peak_in_flight(schedule)[static_cast<size_t>(before)].awaiting_backward;
}

}  // namespace

StagePlan make_stage_plan(const Schedule& schedule, int stage) {
  WEFT_CHECK(0 <= stage && stage < schedule.stage_count(), "stage {} of {}", stage,
             schedule.stage_count());
  return Planner(schedule, stage, most_unsent(schedule, stage)).plan();
}

}  // namespace weft
