#include "parallel/pipeline/validate.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "core/base/error.h"

namespace weft {
namespace {

using Fault = std::optional<std::string>;

constexpr int kAbsent = -1;

// Where each step stands in the order of its stage.
class Positions {
 public:
  explicit Positions(const Schedule& schedule)
      : schedule_(schedule),
        at_(schedule.stages.size(),
            std::vector<int>(static_cast<size_t>(kActs) * schedule.microbatches * schedule.chunks,
                             kAbsent)) {}

  int& at(int stage, const Step& step) {
    const int unit = step.microbatch * schedule_.chunks + step.chunk;
    return at_[stage][unit * kActs + static_cast<int>(step.act)];
  }

 private:
  const Schedule& schedule_;
  std::vector<std::vector<int>> at_;
};

// "stage 2: F3".
std::string where(const Schedule& schedule, int stage, const Step& step) {
  return fmt::format("stage {}: {}", stage, step_text(schedule, step));
}

bool within(const Schedule& schedule, const Step& step) {
  return static_cast<int>(step.act) >= 0 && static_cast<int>(step.act) < kActs &&
         step.microbatch >= 0 && step.microbatch < schedule.microbatches && step.chunk >= 0 &&
         step.chunk < schedule.chunks;
}

bool expected(const Schedule& schedule, int stage, const Step& step) {
  const bool goes_up =
      step.act == Act::forward || step.act == Act::send_act || step.act == Act::recv_act;
  if (schedule.forward_only && !goes_up) return false;
  if (is_transfer(step.act)) return peer_of(schedule, stage, step).has_value();
  return step.act != Act::backward_weights || schedule.split_backward;
}

// Faults 1 and the doubles of 2; fills `positions`.
Fault place_steps(const Schedule& schedule, Positions& positions) {
  for (int stage = 0; stage < schedule.stage_count(); ++stage) {
    const std::vector<Step>& steps = schedule.stages[stage];
    for (int i = 0; i < static_cast<int>(steps.size()); ++i) {
      if (!within(schedule, steps[i])) {
        return fmt::format("stage {}: step {} is act {}, micro-batch {}, chunk {}", stage, i,
                           static_cast<int>(steps[i].act), steps[i].microbatch, steps[i].chunk);
      }
      if (!expected(schedule, stage, steps[i])) {
        return where(schedule, stage, steps[i]) +
               (schedule.forward_only       ? " in a schedule of forwards alone"
                : is_transfer(steps[i].act) ? " has no other end"
                                            : " in a schedule that does not split backward");
      }
      int& position = positions.at(stage, steps[i]);
      if (position != kAbsent) return where(schedule, stage, steps[i]) + " is done twice";
      position = i;
    }
  }
  return std::nullopt;
}

// Calls check(stage, microbatch, chunk) for every unit until one returns a fault.
template <typename Check>
Fault each_unit(const Schedule& schedule, Check check) {
  for (int stage = 0; stage < schedule.stage_count(); ++stage) {
    for (int microbatch = 0; microbatch < schedule.microbatches; ++microbatch) {
      for (int chunk = 0; chunk < schedule.chunks; ++chunk) {
        if (Fault fault = check(stage, microbatch, chunk)) return fault;
      }
    }
  }
  return std::nullopt;
}

Fault find_missing(const Schedule& schedule, Positions& positions) {
  return each_unit(schedule, [&](int stage, int microbatch, int chunk) -> Fault {
    for (int act = 0; act < kActs; ++act) {
      const Step step{static_cast<Act>(act), microbatch, chunk};
      if (expected(schedule, stage, step) && positions.at(stage, step) == kAbsent) {
        return where(schedule, stage, step) + " is missing";
      }
    }
    return std::nullopt;
  });
}

Fault find_disorder(const Schedule& schedule, Positions& positions) {
  constexpr std::array<std::pair<Act, Act>, 6> kOrder = {{
      {Act::recv_act, Act::forward},
      {Act::forward, Act::send_act},
      {Act::forward, Act::backward},
      {Act::recv_grad, Act::backward},
      {Act::backward, Act::send_grad},
      {Act::backward, Act::backward_weights},
  }};
  return each_unit(schedule, [&](int stage, int microbatch, int chunk) -> Fault {
    const auto not_before = [&](const Step& first, const Step& second) -> Fault {
      const int a = positions.at(stage, first), b = positions.at(stage, second);
      if (a == kAbsent || b == kAbsent || a < b) return std::nullopt;
      return where(schedule, stage, second) + " comes before " + step_text(schedule, first);
    };
    for (const auto& [first, second] : kOrder) {
      if (Fault fault = not_before({first, microbatch, chunk}, {second, microbatch, chunk})) {
        return fault;
      }
    }
    // Where the chain goes on within the stage there are no transfers to keep the order.
    const std::optional<int> below = chunk_below(schedule, stage, chunk);
    if (!below) return std::nullopt;
    const Fault up =
        not_before({Act::forward, microbatch, *below}, {Act::forward, microbatch, chunk});
    return up ? up
              : not_before({Act::backward, microbatch, chunk}, {Act::backward, microbatch, *below});
  });
}

// A receiver that takes messages of one sender and kind in another order than they were sent.
Fault find_overtaking(const Schedule& schedule, Positions& positions) {
  for (int stage = 0; stage < schedule.stage_count(); ++stage) {
    std::map<std::pair<int, Act>, std::pair<int, Step>> last;  // by sender and kind
    for (const Step& step : schedule.stages[stage]) {
      if (!is_receive(step.act)) continue;
      const Peer sender = *peer_of(schedule, stage, step);
      const int sent = positions.at(sender.stage, sender.step);
      const auto [previous, first] = last.try_emplace({sender.stage, step.act}, sent, step);
      if (!first && previous->second.first > sent) {
        return fmt::format("{} comes after {}, but stage {} sends it before",
                           where(schedule, stage, step),
                           step_text(schedule, previous->second.second), sender.stage);
      }
      previous->second = {sent, step};
    }
  }
  return std::nullopt;
}

// Runs all stages as far as they come.
class Run {
 public:
  Run(const Schedule& schedule, Positions& positions, Sends sends)
      : schedule_(schedule),
        positions_(positions),
        sends_(sends),
        done_(schedule.stages.size()),
        posted_(schedule.stages.size()) {}

  Fault find_deadlock() {
    bool moved = true;
    while (moved) {
      moved = false;
      for (int stage = 0; stage < schedule_.stage_count(); ++stage) moved |= advance(stage);
    }
    for (int stage = 0; stage < schedule_.stage_count(); ++stage) {
      if (done_[stage] == size(stage)) continue;
      return fmt::format("deadlock: {}", stuck_text(stage));
    }
    return std::nullopt;
  }

 private:
  int size(int stage) const { return static_cast<int>(schedule_.stages[stage].size()); }

  // The end of the steps that stage posts together with its next one.
  int group_end(int stage) const {
    const std::vector<Step>& steps = schedule_.stages[stage];
    int end = done_[stage] + 1;
    if (sends_ == Sends::buffered || !is_transfer(steps[end - 1].act)) return end;
    while (end < size(stage) && is_transfer(steps[end].act)) ++end;
    return end;
  }

  bool met(int stage, const Step& step) {
    if (!is_transfer(step.act) || (is_send(step.act) && sends_ == Sends::buffered)) return true;
    const Peer peer = *peer_of(schedule_, stage, step);
    return positions_.at(peer.stage, peer.step) < posted_[peer.stage];
  }

  bool advance(int stage) {
    const int before = posted_[stage];
    while (done_[stage] < size(stage)) {
      posted_[stage] = group_end(stage);
      for (int i = done_[stage]; i < posted_[stage]; ++i) {
        if (!met(stage, schedule_.stages[stage][i])) return posted_[stage] > before;
      }
      done_[stage] = posted_[stage];
    }
    return posted_[stage] > before;
  }

  std::string stuck_text(int stage) {
    for (int i = done_[stage]; i < posted_[stage]; ++i) {
      const Step& step = schedule_.stages[stage][i];
      if (met(stage, step)) continue;
      const Peer peer = *peer_of(schedule_, stage, step);
      return fmt::format("{} waits for stage {}: {}, which waits in {}",
                         where(schedule_, stage, step), peer.stage, step_text(schedule_, peer.step),
                         step_text(schedule_, schedule_.stages[peer.stage][done_[peer.stage]]));
    }
    return where(schedule_, stage, schedule_.stages[stage][done_[stage]]);
  }

  const Schedule& schedule_;
  Positions& positions_;
  Sends sends_;
  std::vector<int> done_;    // steps of each stage that are complete
  std::vector<int> posted_;  // and that others can see; from done_ to here the stage waits
};

}  // namespace

Fault find_fault(const Schedule& schedule, Sends sends) {
  if (schedule.stages.empty() || schedule.microbatches < 1 || schedule.chunks < 1) {
    return fmt::format("{} stages, {} micro-batches, {} chunks", schedule.stages.size(),
                       schedule.microbatches, schedule.chunks);
  }
  Positions positions(schedule);
  if (Fault fault = place_steps(schedule, positions)) return fault;
  if (Fault fault = find_missing(schedule, positions)) return fault;
  if (Fault fault = find_disorder(schedule, positions)) return fault;
  if (Fault fault = find_overtaking(schedule, positions)) return fault;
  return Run(schedule, positions, sends).find_deadlock();
}

std::vector<InFlight> peak_in_flight(const Schedule& schedule) {
  WEFT_CHECK(!schedule.forward_only, "{} holds nothing", description(schedule));
  const Act last = schedule.split_backward ? Act::backward_weights : Act::backward;
  std::vector<InFlight> peaks;
  for (const std::vector<Step>& steps : schedule.stages) {
    InFlight now, peak;
    for (const Step& step : steps) {
      now.held += (step.act == Act::forward) - (step.act == last);
      now.awaiting_backward += (step.act == Act::forward) - (step.act == Act::backward);
      peak.held = std::max(peak.held, now.held);
      peak.awaiting_backward = std::max(peak.awaiting_backward, now.awaiting_backward);
    }
    peaks.push_back(peak);
  }
  return peaks;
}

}  // namespace weft
