// Rehearsal: what one rank of any layout would allocate and send in a training step, found by going
// through the step itself without memory, arithmetic or peers.
#pragma once

#include <vector>

#include "core/mesh/mesh_shape.h"
#include "launch/config/run_config.h"
#include "launch/step/engine_memory.h"
#include "parallel/comm/trace.h"

namespace weft {

struct Rehearsal {
  MeshCoord coord;
  std::vector<SegmentBytes> memory;  // planned, by segment
  CommTrace::Rows communication;     // of one training step, by axis and op
  int64_t parameters = 0;            // elements that the rank holds, its share of each matrix
};

// Of `rank` in a job of `mesh`; model.vocab_size must be set. The configuration has passed
// cross_check for the mesh.
Rehearsal rehearse(const RunConfig& config, const MeshShape& mesh, int rank);

// Of the first rank of each pipeline stage: all others of a stage allocate and send as much, but
// for what the last share of something that does not divide lacks.
std::vector<Rehearsal> rehearse_stages(const RunConfig& config, const MeshShape& mesh);

}  // namespace weft
