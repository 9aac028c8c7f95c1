#include "parallel/pipeline/schedule.h"

#include <fmt/core.h>

namespace weft {
namespace {

// What the partner of a transfer does, and whether it lies further up the chain of virtual stages.
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

std::string count_text(int count, std::string_view thing, std::string_view plural) {
  return fmt::format("{} {}", count, count == 1 ? thing : plural);
}

}  // namespace

std::optional<Peer> peer_of(const Schedule& schedule, int stage, const Step& step) {
  const std::optional<Counterpart> other = counterpart(step.act);
  const int stages = schedule.stage_count();
  if (!other || stages == 1) return std::nullopt;
  const int virtual_stage = step.chunk * stages + stage + (other->next ? 1 : -1);
  if (virtual_stage < 0 || virtual_stage >= stages * schedule.chunks) return std::nullopt;
  return Peer{virtual_stage % stages, {other->act, step.microbatch, virtual_stage / stages}};
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
