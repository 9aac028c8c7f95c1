// Every legal pipeline up to 8 stages, 24 micro-batches and 4 chunks.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "parallel/pipeline/generators.h"

namespace weft {

inline std::vector<PipelineShape> shapes_of(ScheduleKind kind) {
  const bool interleaved = kind == ScheduleKind::interleaved_1f1b;
  std::vector<PipelineShape> shapes;
  for (int p = 1; p <= 8; ++p) {
    for (int m = 1; m <= 24; ++m) {
      if (interleaved && m % p != 0) continue;
      for (int v = interleaved ? 2 : 1; v <= (interleaved ? 4 : 1); ++v)
        shapes.push_back({p, m, v});
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
