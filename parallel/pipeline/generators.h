// The schedules weft knows, as pure functions of three numbers.
//
// All of them compute the gradients of one weight in the order of the micro-batches, so that they
// sum to the same bits. Sources: GPipe, arXiv 1811.06965; 1F1B and interleaved 1F1B, 2104.04473;
// ZB-H1, 2401.10241.
#pragma once

#include <span>
#include <string_view>

#include "core/base/fields.h"
#include "parallel/pipeline/schedule.h"

namespace weft {

enum class ScheduleKind {
  gpipe,             // all forwards, then all backwards
  one_f_one_b,       // a backward as soon as there is one: stage s holds stages - s activations
  interleaved_1f1b,  // several chunks per stage: the idle time shrinks by their number
  zero_bubble_h1,    // 1F1B whose weight gradients are deferred into what was idle time
};
constexpr auto enum_names(ScheduleKind) {
  return named_values("gpipe", "1f1b", "interleaved", "zb-h1");
}

// "gpipe", "1f1b", "interleaved", "zb-h1".
std::string_view name(ScheduleKind kind);
// Throws Error{config} for another name, with those there are.
ScheduleKind schedule_kind(std::string_view name);
std::span<const ScheduleKind> schedule_kinds();

struct PipelineShape {
  int stages = 1;
  int microbatches = 1;
  int chunks = 1;
};

// Throws Error{config} with the legal values unless stages, microbatches and chunks are at least 1,
// are not too many and suit the schedule: chunks is 1 for all but interleaved, which needs at least
// 2 and a number of micro-batches that is a multiple of the stages.
void check_shape(ScheduleKind kind, const PipelineShape& shape);

// The schedule of one training step, transfers included; find_fault (validate.h) finds none in it.
// Throws as check_shape.
Schedule make_schedule(ScheduleKind kind, const PipelineShape& shape);

// The forwards alone, for evaluation: any number of micro-batches, groups of `stages` of them
// through all chunks before the next.
Schedule make_forward_schedule(const PipelineShape& shape);

}  // namespace weft
