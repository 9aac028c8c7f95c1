// StagePlan: one stage's steps of a schedule with the memory each of them uses, decided before the
// first step, so that the executor only obeys.
//
// A message is received while the computation before the one that needs it is under way: its
// receive is an entry one computation ahead. It is sent right behind the computation that made it.
//
// Three kinds of memory, each a set of equal places:
//   slot   what the forward of a unit leaves for its backward; held from its forward until its last
//          gradient is computed
//   input  [S,C] received from another stage; held as long as the unit
//   grad   [S,C], the gradient of the unit's output, which its backward turns into that of its
//          input; held from its arrival until that is sent
// Where the next part of the chain lies on the same stage nothing moves: a unit's output is the
// other's input where it lies, in a slot that is held for both, and their gradients are one place.
// Places are taken in the order in which they were given back, so a transfer that still reads one
// has as long as possible to end.
#pragma once

#include <vector>

#include "parallel/pipeline/schedule.h"

namespace weft {

inline constexpr int kNoPlace = -1;

struct PlannedStep {
  Step step;                  // a computation or a transfer
  int slot = kNoPlace;        // of computations and send_act
  int input = kNoPlace;       // of recv_act and computations, where the unit receives one
  int input_slot = kNoPlace;  // of forward: whose output is the input, where a chunk hands it over
  int grad = kNoPlace;        // of recv_grad, backward and send_grad
  bool received = false;      // forward, backward: waits for what an entry before has received
  bool frees_input = false;   // the unit's last computation, where it has an input
  bool frees_grad = false;    // backward: of its gradient nothing is left to be sent
  bool descends = false;      // the chunk's next stage is the one before: which channels it uses
};

struct StagePlan {
  std::vector<PlannedStep> steps;
  int slots = 0;
  int inputs = 0;
  int grads = 0;
};

// The plan of `stage` for a schedule in which find_fault finds nothing. Since messages are received
// ahead, inputs and grads have a place more than the schedule needs. Gradients may wait to be sent:
// there are places for as many as the stages that they go to have micro-batches waiting for one, so
// that sending never holds a stage up.
StagePlan make_stage_plan(const Schedule& schedule, int stage);

}  // namespace weft
