// Proof that a schedule is sound, and what it keeps in memory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "parallel/pipeline/schedule.h"

namespace weft {

// What a stage waits for when it sends. A schedule that is sound with blocking sends is sound with
// buffered ones.
enum class Sends {
  buffered,  // nothing: the message lies in a buffer until its receiver comes for it
  blocking,  // the receiver: transfers that follow each other are one exchange, posted as a set, in
             // which the stage stays until each of them has met its other end
};

// The first fault of the schedule, in one sentence with stage and step, or nothing. Checked in this
// order:
//   1. every step lies within the schedule's micro-batches and chunks, and every transfer has
//      another stage to go to;
//   2. each unit is computed exactly once in each direction, its weights too, and each transfer is
//      made exactly once, which gives every receive its send;
//   3. on each stage a unit's steps come in the order recv_act, forward, send_act, and forward,
//      recv_grad (in any order), backward, then send_grad and backward_weights; where two parts
//      that follow each other lie on one stage, forward goes up and backward comes down;
//   4. messages of one kind between two stages are received in the order they are sent;
//   5. run with receives that block and `sends`, all stages come to their end.
std::optional<std::string> find_fault(const Schedule& schedule, Sends sends = Sends::buffered);

// Most units whose activations a stage holds at once.
struct InFlight {
  int held = 0;               // forward done, gradients not complete
  int awaiting_backward = 0;  // forward done, backward not: less only where the backward is split
};

// Of each stage. A unit is one chunk: the activations of one micro-batch on one whole stage are
// `chunks` units.
std::vector<InFlight> peak_in_flight(const Schedule& schedule);

}  // namespace weft
