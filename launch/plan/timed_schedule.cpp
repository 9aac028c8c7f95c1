#include "launch/plan/timed_schedule.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

namespace weft {

double TimedSchedule::highest_peak() const {
  double highest = 0;
  for (int stage = 0; stage < schedule.stage_count(); ++stage) {
    highest = std::max(highest, peak(stage));
  }
  return highest;
}

TimedSchedule time_schedule(Schedule schedule, const StepCosts& costs) {
  Timeline timeline = simulate(schedule, costs);
  std::vector<InFlight> peaks = peak_in_flight(schedule);
  return {std::move(schedule), costs, std::move(timeline), std::move(peaks)};
}

std::string bubble_text(const TimedSchedule& timed) {
  return fmt::format("{:.6g} time units, {:.6g} of them idle on every stage: bubble {:.1f} %",
                     timed.timeline.total, timed.timeline.idle(), timed.timeline.bubble() * 100);
}

}  // namespace weft
