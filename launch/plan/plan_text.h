// What `weft plan memory` and `weft plan comm` print.
#pragma once

#include <string>
#include <vector>

#include "launch/plan/rehearsal.h"

namespace weft {

// A line about ranks and parameters, then bytes by segment, a column for each pipeline stage, and
// what the formulas of the papers say about 16-bit training of the same layout.
std::string memory_text(const RunConfig& config, const MeshShape& mesh,
                        const std::vector<Rehearsal>& stages);

// Calls and bytes of a step by axis and op, two columns for each stage.
std::string communication_text(const RunConfig& config, const MeshShape& mesh,
                               const std::vector<Rehearsal>& stages);

}  // namespace weft
