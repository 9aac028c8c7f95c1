#include "parallel/pipeline/stage_plan.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "core/base/error.h"

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
    std::vector<Step> computations;
    for (const Step& step : schedule_.stages[static_cast<size_t>(stage_)]) {
      if (!is_transfer(step.act)) computations.push_back(step);
    }
    for (size_t i = 0; i < computations.size(); ++i) {
      if (i == 0) receive(computations[0]);
      if (i + 1 < computations.size()) receive(computations[i + 1]);
      compute(computations[i]);
      send(computations[i]);
    }
    plan_.slots = slots_.count();
    plan_.inputs = inputs_.count();
    plan_.grads = grads_.count();
    return std::move(plan_);
  }

 private:
  // A unit between its first receive and its last computation, or that of the unit it hands over
  // to.
  struct Held {
    int slot = kNoPlace;
    int input = kNoPlace;
    int grad = kNoPlace;
    int users = 0;  // units that need the slot
  };
  using Unit = std::pair<int, int>;

  Held& held(const Step& step) { return held_[{step.microbatch, step.chunk}]; }
  PlannedStep& add(const Step& step) {
    plan_.steps.push_back({.step = step, .descends = schedule_.chain().descends(step.chunk)});
    return plan_.steps.back();
  }
  bool has_peer(const Step& transfer) const {
    return peer_of(schedule_, stage_, transfer).has_value();
  }
  static Step with(Act act, const Step& unit) { return {act, unit.microbatch, unit.chunk}; }
  // The unit of the same stage from which one has its input.
  std::optional<Step> below(const Step& unit) const {
    const std::optional<int> chunk = chunk_below(schedule_, stage_, unit.chunk);
    return chunk ? std::optional(Step{unit.act, unit.microbatch, *chunk}) : std::nullopt;
  }

  void receive(const Step& unit) {
    if (unit.act == Act::backward_weights) return;
    const bool forward = unit.act == Act::forward;
    const Step transfer = with(forward ? Act::recv_act : Act::recv_grad, unit);
    if (!has_peer(transfer)) return;
    PlannedStep& p = add(transfer);
    if (forward) {
      p.input = held(unit).input = inputs_.take();
    } else {
      p.grad = held(unit).grad = grads_.take();
    }
  }

  void compute(const Step& unit) {
    PlannedStep& p = add(unit);
    if (unit.act == Act::forward) begin(p);
    Held& mine = held(unit);
    p.slot = mine.slot;
    p.input = mine.input;
    if (unit.act == Act::backward) turn(p, mine);
    if (unit.act == last_act()) end(p);
  }

  // Takes memory for a unit.
  void begin(PlannedStep& p) {
    const std::optional<Step> from = below(p.step);
    Held& mine = held(p.step);
    mine.slot = slots_.take();
    mine.users = chunk_above(schedule_, stage_, p.step.chunk) ? 2 : 1;
    p.received = mine.input != kNoPlace;
    if (from) p.input_slot = held(*from).slot;
  }

  // A gradient comes from another stage, from the chunk above, or is that of the loss; and goes to
  // another stage, to the chunk below, or nowhere.
  void turn(PlannedStep& p, Held& mine) {
    p.received = has_peer(with(Act::recv_grad, p.step));
    p.grad = mine.grad == kNoPlace ? grads_.take() : mine.grad;
    if (const std::optional<Step> to = below(p.step)) {
      held(*to).grad = p.grad;
      return;
    }
    p.frees_grad = !has_peer(with(Act::send_grad, p.step));
    grads_.give_back(p.grad);
  }

  void end(PlannedStep& p) {
    p.frees_input = p.input != kNoPlace;
    if (p.frees_input) inputs_.give_back(p.input);
    release(p.step);
    if (const std::optional<Step> from = below(p.step)) release(*from);
  }

  void release(const Step& unit) {
    Held& mine = held(unit);
    if (--mine.users > 0) return;
    slots_.give_back(mine.slot);
    held_.erase({unit.microbatch, unit.chunk});
  }

  void send(const Step& unit) {
    if (unit.act == Act::backward_weights) return;
    const bool forward = unit.act == Act::forward;
    const Step transfer = with(forward ? Act::send_act : Act::send_grad, unit);
    if (!has_peer(transfer)) return;
    const PlannedStep made = plan_.steps.back();
    PlannedStep& p = add(transfer);
    (forward ? p.slot : p.grad) = forward ? made.slot : made.grad;
  }

  Act last_act() const {
    if (schedule_.split_backward) return Act::backward_weights;
    return schedule_.forward_only ? Act::forward : Act::backward;
  }

  const Schedule& schedule_;
  int stage_;
  StagePlan plan_;
  Places slots_, inputs_, grads_;
  std::map<Unit, Held> held_;
};

// Units of `stage` that wait for a gradient, at most, but for those that have it from a stage other
// than `sender`.
int most_waiting(const Schedule& schedule, int stage, int sender) {
  int waiting = 0, most = 0;
  for (const Step& step : schedule.stages[static_cast<size_t>(stage)]) {
    const auto from = peer_of(schedule, stage, {Act::recv_grad, step.microbatch, step.chunk});
    if (from && from->stage != sender) continue;
    waiting += (step.act == Act::forward) - (step.act == Act::backward);
    most = std::max(most, waiting);
  }
  return most;
}

// Gradients that the stage sends and that nobody has come for, at most.
int most_unsent(const Schedule& schedule, int stage) {
  if (schedule.forward_only) return 0;
  std::set<int> receivers;
  for (int chunk = 0; chunk < schedule.chunks; ++chunk) {
    const auto to = peer_of(schedule, stage, {Act::send_grad, 0, chunk});
    if (to) receivers.insert(to->stage);
  }
  int most = 0;
  for (const int receiver : receivers) most += most_waiting(schedule, receiver, stage);
  return most;
}

}  // namespace

StagePlan make_stage_plan(const Schedule& schedule, int stage) {
  WEFT_CHECK(0 <= stage && stage < schedule.stage_count(), "stage {} of {}", stage,
             schedule.stage_count());
  return Planner(schedule, stage, most_unsent(schedule, stage)).plan();
}

}  // namespace weft
