// A schedule with its times, and its pictures: stages down, time to the right.
#pragma once

#include <string>
#include <vector>

#include "parallel/pipeline/schedule.h"
#include "parallel/pipeline/simulate.h"
#include "parallel/pipeline/validate.h"

namespace weft {

struct TimedSchedule {
  Schedule schedule;
  StepCosts costs;
  Timeline timeline;
  std::vector<InFlight> peaks;  // of each stage

  // Most micro-batches whose activations `stage` holds at once: a chunk counts as its share.
  double peak(int stage) const { return static_cast<double>(peaks[stage].held) / schedule.chunks; }
  double highest_peak() const;
};

// Throws Error{config} as simulate.
TimedSchedule time_schedule(Schedule schedule, const StepCosts& costs);

// "33 time units, 9 of them idle on every stage: bubble 27.3 %".
std::string bubble_text(const TimedSchedule& timed);

// The picture as lines of at most `width` columns (more where the stages' numbers and one column of
// picture need it), then what the letters mean and the totals. Every step is labelled as by
// step_text as far as its columns allow.
std::string schedule_text(const TimedSchedule& timed, int width);

// The picture as one SVG document, UTF-8, in light or dark as the reader's system has it. Throws
// Error{config} for more than 20000 computations.
std::string schedule_svg(const TimedSchedule& timed);

}  // namespace weft
