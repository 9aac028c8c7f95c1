#include "parallel/pipeline/generators.h"

#include <fmt/format.h>

#include <cstdint>
#include <utility>

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "parallel/pipeline/validate.h"

namespace weft {
namespace {

constexpr auto kKinds = [] {
  std::array<ScheduleKind, kSchedules.size()> kinds;
  for (size_t i = 0; i < kinds.size(); ++i) kinds[i] = kSchedules[i].kind;
  return kinds;
}();

constexpr bool rows_are_where_their_kind_says() {
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (static_cast<size_t>(kKinds[i]) != i) return false;
  }
  return true;
}
static_assert(rows_are_where_their_kind_says());

// Far beyond use; a schedule of that many units takes some hundred megabytes.
constexpr int kMostUnits = 1 << 20;

// Every computation receives right before it what it needs from another stage and sends right
// after it what another stage needs.
std::vector<Step> with_transfers(const Schedule& schedule, int stage) {
  std::vector<Step> steps;
  const auto transfer = [&](Act act, const Step& unit) {
    const Step step{act, unit.microbatch, unit.chunk};
    if (peer_of(schedule, stage, step)) steps.push_back(step);
  };
  for (const Step& step : schedule.stages[stage]) {
    if (step.act == Act::forward) transfer(Act::recv_act, step);
    if (step.act == Act::backward) transfer(Act::recv_grad, step);
    steps.push_back(step);
    if (step.act == Act::forward) transfer(Act::send_act, step);
    if (step.act == Act::backward) transfer(Act::send_grad, step);
  }
  return steps;
}

Schedule complete(Schedule schedule) {
  for (int stage = 0; stage < schedule.stage_count(); ++stage) {
    schedule.stages[stage] = with_transfers(schedule, stage);
  }
  const std::optional<std::string> fault = find_fault(schedule);
  WEFT_CHECK(!fault, "{}: {}", description(schedule), *fault);
  return schedule;
}

void require_limit(std::string_view thing, int value, int most) {
  if (1 <= value && value <= most) return;
  fail(ErrorKind::config, "{} {} of a pipeline; use 1 to {}", value, thing, most);
}

void check_chunks(const ScheduleTraits& schedule, int chunks) {
  const auto [least, most] = std::pair(schedule.min_chunks, schedule.max_chunks);
  if (least <= chunks && chunks <= most) return;
  const std::string_view other =
      name(chunks == 1 ? ScheduleKind::one_f_one_b : ScheduleKind::interleaved_1f1b);
  if (least < most) {
    fail(ErrorKind::config,
         "the schedule {} needs {} or more chunks per stage; with {} use the schedule {}",
         schedule.name, least, chunks, other);
  }
  fail(ErrorKind::config,
       "the schedule {} has {} chunk{} per stage, not {}; use chunks {}, or the schedule {}",
       schedule.name, least, least == 1 ? "" : "s", chunks, least, other);
}

}  // namespace

std::string_view name(ScheduleKind kind) { return enum_name(kind); }

std::span<const ScheduleKind> schedule_kinds() { return kKinds; }

ScheduleKind schedule_kind(std::string_view text) {
  std::vector<std::string> names;
  for (ScheduleKind kind : kKinds) {
    if (text == name(kind)) return kind;
    names.emplace_back(name(kind));
  }
  const std::optional<std::string> meant = nearest(text, names);
  fail(ErrorKind::config, "there is no pipeline schedule '{}'{}; the schedules are: {}", text,
       meant ? fmt::format(", did you mean '{}'?", *meant) : "", fmt::join(names, ", "));
}

void check_shape(ScheduleKind kind, const PipelineShape& shape) {
  const auto [stages, microbatches, chunks] = shape;
  const ScheduleTraits& schedule = traits(kind);
  require_limit("stages", stages, kMostUnits);
  require_limit("micro-batches", microbatches, kMostUnits);
  require_limit("chunks per stage", chunks, kMostChunks);
  const int64_t units = static_cast<int64_t>(stages) * microbatches * chunks;
  if (units > kMostUnits) {
    fail(ErrorKind::config,
         "{} stages * {} micro-batches * {} chunks are {} units; a schedule has at most {}", stages,
         microbatches, chunks, units, kMostUnits);
  }
  check_chunks(schedule, chunks);
  if (!schedule.whole_rounds || microbatches % stages == 0) return;
  const int below = microbatches / stages * stages;
  fail(ErrorKind::config,
       "the schedule {} needs a multiple of its {} stages as micro-batches, not {}; try {}{}",
       schedule.name, stages, microbatches, below > 0 ? fmt::format("{} or ", below) : "",
       below + stages);
}

Schedule make_schedule(ScheduleKind kind, const PipelineShape& shape) {
  check_shape(kind, shape);
  const ScheduleTraits& schedule = traits(kind);
  return complete({.name = std::string(schedule.name),
                   .stages = schedule.orders(shape),
                   .microbatches = shape.microbatches,
                   .chunks = shape.chunks,
                   .shape = schedule.chain,
                   .split_backward = schedule.splits_backward});
}

Schedule make_forward_schedule(const Chain& chain, int microbatches) {
  return complete({.name = "evaluation",
                   .stages = forward_orders(chain, microbatches),
                   .microbatches = microbatches,
                   .chunks = chain.chunks,
                   .shape = chain.shape,
                   .forward_only = true});
}

}  // namespace weft
