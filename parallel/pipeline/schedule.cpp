#include "parallel/pipeline/schedule.h"

#include <fmt/core.h>

namespace weft {
namespace {

// What the partner of a transfer does, and whether it lies further up the chain.
struct Counterpart {
  Act act;
  bool next;
};

std::optional<Counterpart> counterpart(Act act) {
  switch (act) {
    case Act::send_act:
      return Counterpart{Act::recv_act, true};
    case Act::recv_act:
      return Counterpart{Act::send_act, false};
    case Act::send_grad:
      return Counterpart{Act::recv_grad, false};
    case Act::recv_grad:
      return Counterpart{Act::send_grad, true};
    default:
      return std::nullopt;
  }
}

// The part `steps` further up the chain than a chunk of a stage, if the chain is that long.
std::optional<Chain::Place> neighbour(const Chain& chain, const Chain::Place& at, int steps) {
  const int part = chain.part(at) + steps;
  if (part < 0 || part >= chain.parts()) return std::nullopt;
  return chain.place(part);
}

std::optional<int> chunk_beside(const Schedule& schedule, int stage, int chunk, int steps) {
  const std::optional<Chain::Place> other = neighbour(schedule.chain(), {stage, chunk}, steps);
  return other && other->stage == stage ? std::optional(other->chunk) : std::nullopt;
}

std::string count_text(int count, std::string_view thing, std::string_view plural) {
  return fmt::format("{} {}", count, count == 1 ? thing : plural);
}

}  // namespace

std::optional<Peer> peer_of(const Schedule& schedule, int stage, const Step& step) {
  const std::optional<Counterpart> other = counterpart(step.act);
  if (!other) return std::nullopt;
  const std::optional<Chain::Place> place =
      neighbour(schedule.chain(), {stage, step.chunk}, other->next ? 1 : -1);
  if (!place || place->stage == stage) return std::nullopt;
  return Peer{place->stage, {other->act, step.microbatch, place->chunk}};
}

std::optional<int> chunk_below(const Schedule& schedule, int stage, int chunk) {
  return chunk_beside(schedule, stage, chunk, -1);
}

std::optional<int> chunk_above(const Schedule& schedule, int stage, int chunk) {
  return chunk_beside(schedule, stage, chunk, 1);
}

std::string step_text(const Schedule& schedule, const Step& step) {
  constexpr std::string_view kBefore[kActs] = {"F", "B", "W", "a", ">a", "g", ">g"};
  const std::string chunk = schedule.chunks > 1 ? fmt::format(".{}", step.chunk) : "";
  return fmt::format("{}{}{}{}", kBefore[static_cast<int>(step.act)], step.microbatch, chunk,
                     is_send(step.act) ? ">" : "");
}

std::string description(const Schedule& schedule) {
  std::string text = fmt::format("{}: {}, {}", schedule.name,
                                 count_text(schedule.stage_count(), "stage", "stages"),
                                 count_text(schedule.microbatches, "micro-batch", "micro-batches"));
  if (schedule.chunks > 1) text += fmt::format(", {} chunks per stage", schedule.chunks);
  return text;
}

std::string steps_text(const Schedule& schedule) {
  std::string text;
  for (int stage = 0; stage < schedule.stage_count(); ++stage) {
    text += fmt::format("stage {}:", stage);
    for (const Step& step : schedule.stages[stage]) {
      text += fmt::format(" {}", step_text(schedule, step));
    }
    text += "\n";
  }
  return text;
}

}  // namespace weft
