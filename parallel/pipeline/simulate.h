// When each step of a schedule happens, given what steps cost.
#pragma once

#include <vector>

#include "parallel/pipeline/schedule.h"

namespace weft {

// Times of one micro-batch on one whole stage, in any unit; a chunk costs 1/chunks of them.
struct StepCosts {
  double forward = 1;
  double backward = 1;          // gradient of the input
  double backward_weights = 1;  // gradient of the weights
  double transfer = 0;          // from the start of a send until the receiver can use the message
};

struct Span {
  double start = 0;
  double end = 0;
};

struct Timeline {
  // Of each step, as Schedule::stages has them. A send occupies its stage for no time; a receive
  // lasts as long as the stage waits in it.
  std::vector<std::vector<Span>> stages;
  double total = 0;  // until the last step of any stage ends
  double busy = 0;   // computation of one stage; the same on each
  double idle() const { return total - busy; }
  // Share of the wall clock in which a stage does not compute.
  double bubble() const { return total > 0 ? idle() / total : 0; }
};

// Runs the schedule, in which find_fault(schedule, Sends::buffered) finds nothing: each stage does
// its steps in order, as early as it can; sends do not hold up their stage, receives wait for their
// message, transfers do not share a link. Throws Error{config} for costs that are negative or not
// finite.
Timeline simulate(const Schedule& schedule, const StepCosts& costs);

}  // namespace weft
