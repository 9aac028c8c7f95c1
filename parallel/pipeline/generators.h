// The schedules weft knows: a table of them, and the complete schedules that it leads to.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "core/base/fields.h"
#include "parallel/pipeline/orders.h"
#include "parallel/pipeline/schedule.h"

namespace weft {

enum class ScheduleKind {
  gpipe,             // all forwards, then all backwards
  one_f_one_b,       // a backward as soon as there is one: stage s holds stages - s activations
  interleaved_1f1b,  // several chunks per stage: the idle time shrinks by their number
  zero_bubble_h1,    // 1F1B whose weight gradients are deferred into what was idle time
  zero_bubble_v,     // two chunks per stage on a chain that turns: no idle time but the ramp
};

// All that the rest of weft knows of a schedule.
struct ScheduleTraits {
  ScheduleKind kind;
  std::string_view name;
  MakeOrders* orders;
  int min_chunks = 1, max_chunks = 1;  // per stage; the fewest unless a run says otherwise
  ChainShape chain = ChainShape::ring;
  bool whole_rounds = false;     // takes a multiple of the stages as micro-batches
  bool splits_backward = false;  // weight gradients are steps of their own
};
inline constexpr int kMostChunks = 64;
inline constexpr std::array kSchedules = {
    ScheduleTraits{.kind = ScheduleKind::gpipe, .name = "gpipe", .orders = gpipe_orders},
    ScheduleTraits{.kind = ScheduleKind::one_f_one_b, .name = "1f1b", .orders = one_f_one_b_orders},
    ScheduleTraits{.kind = ScheduleKind::interleaved_1f1b,
                   .name = "interleaved",
                   .orders = interleaved_orders,
                   .min_chunks = 2,
                   .max_chunks = kMostChunks,
                   .whole_rounds = true},
    ScheduleTraits{.kind = ScheduleKind::zero_bubble_h1,
                   .name = "zb-h1",
                   .orders = zero_bubble_h1_orders,
                   .splits_backward = true},
    ScheduleTraits{.kind = ScheduleKind::zero_bubble_v,
                   .name = "zb-v",
                   .orders = zero_bubble_v_orders,
                   .min_chunks = 2,
                   .max_chunks = 2,
                   .chain = ChainShape::v,
                   .splits_backward = true}};

constexpr const ScheduleTraits& traits(ScheduleKind kind) {
  return kSchedules[static_cast<size_t>(kind)];
}

constexpr auto enum_names(ScheduleKind) {
  std::array<std::string_view, kSchedules.size()> names;
  for (size_t i = 0; i < names.size(); ++i) names[i] = kSchedules[i].name;
  return names;
}

// As the table has it.
std::string_view name(ScheduleKind kind);
// Throws Error{config} for another name, with those there are.
ScheduleKind schedule_kind(std::string_view name);
std::span<const ScheduleKind> schedule_kinds();

// Throws Error{config} with the legal values unless stages, microbatches and chunks are at least 1,
// are not too many and suit the schedule.
void check_shape(ScheduleKind kind, const PipelineShape& shape);

// The schedule of one training step, transfers included; find_fault (validate.h) finds none in it.
// Throws as check_shape.
Schedule make_schedule(ScheduleKind kind, const PipelineShape& shape);

// The forwards alone, for evaluation, of any number of micro-batches.
Schedule make_forward_schedule(const Chain& chain, int microbatches);

}  // namespace weft
