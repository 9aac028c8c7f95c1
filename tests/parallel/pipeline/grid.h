// Every legal pipeline up to 8 stages, 24 micro-batches and 4 chunks.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "parallel/pipeline/generators.h"

namespace weft {

inline std::vector<PipelineShape> shapes_of(ScheduleKind kind) {
  constexpr int kChunks = 4;
  const ScheduleTraits& schedule = traits(kind);
  std::vector<PipelineShape> shapes;
  for (int p = 1; p <= 8; ++p) {
    for (int m = 1; m <= 24; ++m) {
      if (schedule.whole_rounds && m % p != 0) continue;
      for (int v = schedule.min_chunks; v <= std::min(schedule.max_chunks, kChunks); ++v) {
        shapes.push_back({p, m, v});
      }
    }
  }
  return shapes;
}

// Calls check(schedule, shape) for every legal shape of `kind`; a failure names the schedule.
template <typename Check>
void for_each_shape(ScheduleKind kind, Check check) {
  for (const PipelineShape& shape : shapes_of(kind)) {
    const Schedule schedule = make_schedule(kind, shape);
    SCOPED_TRACE(description(schedule));
    check(schedule, shape);
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace weft
