#include "parallel/pipeline/simulate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/base/error.h"

namespace weft {
namespace {

void check_costs(const StepCosts& costs) {
  for (double cost : {costs.forward, costs.backward, costs.backward_weights, costs.transfer}) {
    if (std::isfinite(cost) && cost >= 0) continue;
    fail(ErrorKind::config, "a step of a pipeline cannot cost {}; costs are times of 0 or more",
         cost);
  }
}

// How long a computation takes.
double duration(const Schedule& schedule, const StepCosts& costs, Act act) {
  double whole = 0;
  if (act == Act::forward) whole = costs.forward;
  if (act == Act::backward) whole = costs.backward;
  if (act == Act::backward_weights || (act == Act::backward && !schedule.split_backward)) {
    whole += costs.backward_weights;
  }
  return whole / schedule.chunks;
}

class Simulation {
 public:
  Simulation(const Schedule& schedule, const StepCosts& costs)
      : schedule_(schedule),
        costs_(costs),
        clock_(schedule.stages.size()),
        arrivals_(2 * schedule.stages.size() * schedule.microbatches * schedule.chunks, kNotSent) {
    timeline_.stages.resize(schedule.stages.size());
  }

  Timeline run() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (int stage = 0; stage < schedule_.stage_count(); ++stage) {
        while (advance(stage)) moved = true;
      }
    }
    for (int stage = 0; stage < schedule_.stage_count(); ++stage) {
      WEFT_CHECK(timeline_.stages[stage].size() == schedule_.stages[stage].size(),
                 "{}: stage {} is stuck in step {}", description(schedule_), stage,
                 timeline_.stages[stage].size());
    }
    timeline_.total = *std::max_element(clock_.begin(), clock_.end());
    timeline_.busy =
        schedule_.microbatches * (costs_.forward + costs_.backward + costs_.backward_weights);
    return std::move(timeline_);
  }

 private:
  // Does the next step of `stage` if it can be done.
  bool advance(int stage) {
    std::vector<Span>& spans = timeline_.stages[stage];
    if (spans.size() == schedule_.stages[stage].size()) return false;
    const Step& step = schedule_.stages[stage][spans.size()];
    double end = clock_[stage];
    if (is_receive(step.act)) {
      const double message = arrival(stage, step);
      if (message == kNotSent) return false;
      end = std::max(end, message);
    } else if (is_send(step.act)) {
      const Peer peer = *peer_of(schedule_, stage, step);
      arrival(peer.stage, peer.step) = end + costs_.transfer;
    } else {
      end += duration(schedule_, costs_, step.act);
    }
    spans.push_back({clock_[stage], end});
    clock_[stage] = end;
    return true;
  }

  static constexpr double kNotSent = -1;

  // When the message of a receive is there.
  double& arrival(int stage, const Step& receive) {
    const size_t unit = (static_cast<size_t>(stage) * schedule_.microbatches + receive.microbatch) *
                            schedule_.chunks +
                        receive.chunk;
    return arrivals_[2 * unit + (receive.act == Act::recv_grad)];
  }

  const Schedule& schedule_;
  const StepCosts& costs_;
  std::vector<double> clock_;     // of each stage
  std::vector<double> arrivals_;  // of each unit's activation and gradient
  Timeline timeline_;
};

}  // namespace

Timeline simulate(const Schedule& schedule, const StepCosts& costs) {
  check_costs(costs);
  return Simulation(schedule, costs).run();
}

}  // namespace weft
