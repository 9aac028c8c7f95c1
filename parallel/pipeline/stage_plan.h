// StagePlan: one stage's steps of a schedule with the memory each of them uses, decided before the
// first step, so that the executor only obeys.
//
// Three kinds of memory, each a set of equal places:
//   slot   what the forward of a unit leaves for its backward; held from its forward until its last
//          gradient is computed
//   input  [S,C] received from the previous virtual stage; held as long as the unit
//   grad   [S,C], the gradient of the unit's output, which its backward turns into that of its
//          input; held from its arrival until that is sent
// Places are taken in the order in which they were given back, so a transfer that still reads one
// has as long as possible to end.
#pragma once

#include <vector>

#include "parallel/pipeline/schedule.h"

namespace weft {

inline constexpr int kNoPlace = -1;

// A unit's computation with what must be there before it and goes out after it.
struct PlannedStep {
  Step step;  // forward, backward or backward_weights
  int slot = kNoPlace;
  int input = kNoPlace;   // forward: unless the unit is the first of the chain
  int grad = kNoPlace;    // backward
  bool receives = false;  // forward: its input; backward: its gradient
  bool sends = false;     // forward: its output; backward: the gradient of its input
  bool frees = false;     // last step of the unit: slot and input are given back
};

struct StagePlan {
  std::vector<PlannedStep> steps;
  int slots = 0;
  int inputs = 0;
  int grads = 0;
};

// The plan of `stage` for a schedule in which find_fault finds nothing. A step's message is
// received while the step before it computes, so inputs and grads have a place more than the
// schedule needs. Gradients may wait to be sent: there are further places for as many as the stage
// before has micro-batches that wait for one, so that sending never holds a stage up.
StagePlan make_stage_plan(const Schedule& schedule, int stage);

}  // namespace weft
