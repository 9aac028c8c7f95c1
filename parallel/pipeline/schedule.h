// What each stage of a pipeline does, and in which order, as data: generators make it
// (generators.h), the validator proves it sound (validate.h), the simulator times it (simulate.h),
// an executor obeys it. docs/pipeline.md states the rules.
//
// A model of stages * chunks parts is a chain (core/mesh/chain.h). Activations go up the chain,
// gradients come down it. A unit is one micro-batch on one chunk of one stage.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/mesh/chain.h"

namespace weft {

enum class Act {
  forward,
  backward,          // gradient of the input; of the weights too unless the schedule splits them
  backward_weights,  // gradient of the weights, in schedules with split_backward
  send_act,          // the unit's output, to the next part of the chain
  recv_act,          // the unit's input, from the part before
  send_grad,         // gradient of the unit's input, to the part before
  recv_grad,         // gradient of the unit's output, from the next part
};
inline constexpr int kActs = 7;

struct Step {
  Act act;
  int microbatch;  // in [0, Schedule::microbatches)
  int chunk;       // in [0, Schedule::chunks), of the stage that does the step
  bool operator==(const Step&) const = default;
};

struct Schedule {
  std::string name;
  std::vector<std::vector<Step>> stages;  // the steps of each stage, in order
  int microbatches = 0;                   // per training step
  int chunks = 1;                         // parts of the model on each stage
  ChainShape shape = ChainShape::ring;    // of the chain of parts
  bool split_backward = false;            // every unit has a backward_weights step
  bool forward_only = false;              // evaluation: no unit has a backward

  int stage_count() const { return static_cast<int>(stages.size()); }
  Chain chain() const { return {stage_count(), chunks, shape}; }
};

constexpr bool is_send(Act act) { return act == Act::send_act || act == Act::send_grad; }
constexpr bool is_receive(Act act) { return act == Act::recv_act || act == Act::recv_grad; }
constexpr bool is_transfer(Act act) { return is_send(act) || is_receive(act); }

// The other end of a transfer: the stage, and the step it does there.
struct Peer {
  int stage;
  Step step;
};

// The other end of a transfer that `stage` makes, or would make for a unit whose neighbour in the
// chain lies on another stage. Nothing for steps that compute, at the ends of the chain, and where
// the neighbour lies on `stage` itself.
std::optional<Peer> peer_of(const Schedule& schedule, int stage, const Step& step);

// The chunk of `stage` itself that a unit of `chunk` has its input from and gives the gradient of
// its input to, without a transfer: where a v-shaped chain turns, or there is one stage.
std::optional<int> chunk_below(const Schedule& schedule, int stage, int chunk);
// The chunk of `stage` itself that a unit of `chunk` hands its output to.
std::optional<int> chunk_above(const Schedule& schedule, int stage, int chunk);

// "F3", "B3", "W3" for computation on micro-batch 3; ">a3" and "a3>" for receiving and sending its
// activation, ">g3" and "g3>" for its gradient. With several chunks the chunk follows: "F3.1".
std::string step_text(const Schedule& schedule, const Step& step);

// "1f1b: 4 stages, 8 micro-batches".
std::string description(const Schedule& schedule);

// One line per stage with all of its steps.
std::string steps_text(const Schedule& schedule);

}  // namespace weft
