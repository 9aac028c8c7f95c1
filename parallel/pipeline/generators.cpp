#include "parallel/pipeline/generators.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/base/error.h"
#include "core/base/nearest.h"
#include "parallel/pipeline/validate.h"

namespace weft {
namespace {

constexpr std::array kKinds = {ScheduleKind::gpipe, ScheduleKind::one_f_one_b,
                               ScheduleKind::interleaved_1f1b, ScheduleKind::zero_bubble_h1};

// Far beyond use; a schedule of that many units takes some hundred megabytes.
constexpr int kMostUnits = 1 << 20, kMostChunks = 64;

using Steps = std::vector<Step>;

// The generators proper: one stage's steps, transfers left out.

Steps gpipe_stage(const PipelineShape& shape) {
  Steps steps;
  for (int m = 0; m < shape.microbatches; ++m) steps.push_back({Act::forward, m, 0});
  for (int m = 0; m < shape.microbatches; ++m) steps.push_back({Act::backward, m, 0});
  return steps;
}

// Forward and backward in alternation once `warmup` forwards are done. forward(i) and backward(i)
// are the i-th of `units` of each.
template <typename Forward, typename Backward>
Steps alternate(int units, int warmup, Forward forward, Backward backward) {
  Steps steps;
  warmup = std::min(warmup, units);
  for (int i = 0; i < warmup; ++i) steps.push_back(forward(i));
  for (int i = 0; i < units; ++i) {
    if (warmup + i < units) steps.push_back(forward(warmup + i));
    steps.push_back(backward(i));
  }
  return steps;
}

Steps one_f_one_b_stage(const PipelineShape& shape, int stage) {
  const int warmup = shape.stages - stage - 1;
  return alternate(
      shape.microbatches, warmup,
      [](int i) {
        return Step{Act::forward, i, 0};
      },
      [](int i) {
        return Step{Act::backward, i, 0};
      });
}

// Groups of `stages` micro-batches pass through all chunks before the next group starts; backward
// takes the chunks from the last to the first.
Steps interleaved_stage(const PipelineShape& shape, int stage) {
  const auto unit = [&](Act act, int i) {
    const int group = i / (shape.stages * shape.chunks);
    const int chunk = i / shape.stages % shape.chunks;
    return Step{act, group * shape.stages + i % shape.stages,
                act == Act::forward ? chunk : shape.chunks - 1 - chunk};
  };
  const int warmup = 2 * (shape.stages - stage - 1) + (shape.chunks - 1) * shape.stages;
  return alternate(
      shape.microbatches * shape.chunks, warmup, [&](int i) { return unit(Act::forward, i); },
      [&](int i) { return unit(Act::backward, i); });
}

// The steps of 1F1B with weight gradients in between: one before a forward that would make the
// stage hold more micro-batches than the first stage of 1F1B does, one between two backwards, where
// 1F1B waits for the gradient of the second, and the rest at the end.
Steps zero_bubble_h1_stage(const PipelineShape& shape, int stage) {
  Steps steps;
  int forwards = 0, weights = 0;
  for (const Step& step : one_f_one_b_stage(shape, stage)) {
    const bool full = step.act == Act::forward && forwards - weights == shape.stages;
    const bool gap =
        step.act == Act::backward && !steps.empty() && steps.back().act == Act::backward;
    if (full || gap) steps.push_back({Act::backward_weights, weights++, 0});
    steps.push_back(step);
    forwards += step.act == Act::forward;
  }
  while (weights < shape.microbatches) steps.push_back({Act::backward_weights, weights++, 0});
  return steps;
}

// Every computation receives right before it what it needs from another stage and sends right
// after it what another stage needs.
Steps with_transfers(const Schedule& schedule, int stage) {
  Steps steps;
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

Schedule add_transfers(Schedule schedule) {
  for (int stage = 0; stage < schedule.stage_count(); ++stage) {
    schedule.stages[stage] = with_transfers(schedule, stage);
  }
  return schedule;
}

Schedule checked(Schedule schedule) {
  const std::optional<std::string> fault = find_fault(schedule);
  WEFT_CHECK(!fault, "{}: {}", description(schedule), *fault);
  return schedule;
}

Steps compute_steps(ScheduleKind kind, const PipelineShape& shape, int stage) {
  switch (kind) {
    case ScheduleKind::gpipe:
      return gpipe_stage(shape);
    case ScheduleKind::one_f_one_b:
      return one_f_one_b_stage(shape, stage);
    case ScheduleKind::interleaved_1f1b:
      return interleaved_stage(shape, stage);
    case ScheduleKind::zero_bubble_h1:
      return zero_bubble_h1_stage(shape, stage);
  }
  WEFT_CHECK(false, "schedule kind {}", static_cast<int>(kind));
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
  const auto require_limit = [](std::string_view thing, int value, int most) {
    if (value < 1 || value > most) {
      fail(ErrorKind::config, "{} {} of a pipeline; use 1 to {}", value, thing, most);
    }
  };
  require_limit("stages", stages, kMostUnits);
  require_limit("micro-batches", microbatches, kMostUnits);
  require_limit("chunks per stage", chunks, kMostChunks);
  const int64_t units = static_cast<int64_t>(stages) * microbatches * chunks;
  if (units > kMostUnits) {
    fail(ErrorKind::config,
         "{} stages * {} micro-batches * {} chunks are {} units; a schedule has at most {}", stages,
         microbatches, chunks, units, kMostUnits);
  }
  if (kind != ScheduleKind::interleaved_1f1b) {
    if (chunks == 1) return;
    fail(ErrorKind::config,
         "the schedule {} has 1 chunk per stage, not {}; use chunks 1, or the schedule interleaved",
         name(kind), chunks);
  }
  if (chunks == 1) {
    fail(ErrorKind::config,
         "the schedule interleaved needs 2 or more chunks per stage; with 1 use the schedule 1f1b");
  }
  if (microbatches % stages != 0) {
    const int below = microbatches / stages * stages;
    fail(ErrorKind::config,
         "the schedule interleaved needs a multiple of its {} stages as micro-batches, not {}; try "
         "{}{}",
         stages, microbatches, below > 0 ? fmt::format("{} or ", below) : "", below + stages);
  }
}

Schedule make_forward_schedule(const PipelineShape& shape) {
  Schedule schedule{.name = "evaluation",
                    .stages = std::vector<Steps>(shape.stages),
                    .microbatches = shape.microbatches,
                    .chunks = shape.chunks,
                    .forward_only = true};
  for (int stage = 0; stage < shape.stages; ++stage) {
    for (int group = 0; group < shape.microbatches; group += shape.stages) {
      const int end = std::min(group + shape.stages, shape.microbatches);
      for (int chunk = 0; chunk < shape.chunks; ++chunk) {
        for (int m = group; m < end; ++m) {
          schedule.stages[stage].push_back({Act::forward, m, chunk});
        }
      }
    }
  }
  return checked(add_transfers(std::move(schedule)));
}

Schedule make_schedule(ScheduleKind kind, const PipelineShape& shape) {
  check_shape(kind, shape);
  Schedule schedule{.name = std::string(name(kind)),
                    .stages = std::vector<Steps>(shape.stages),
                    .microbatches = shape.microbatches,
                    .chunks = shape.chunks,
                    .split_backward = kind == ScheduleKind::zero_bubble_h1};
  for (int stage = 0; stage < shape.stages; ++stage) {
    schedule.stages[stage] = compute_steps(kind, shape, stage);
  }
  return checked(add_transfers(std::move(schedule)));
}

}  // namespace weft
