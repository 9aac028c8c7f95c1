// The one table that says how each GPT weight is cut over the tensor-parallel axis (Megatron-LM,
// arXiv 1909.08053): projections into heads and MLP by rows, projections back by columns, the
// vocabulary by rows; norms, positions and the biases after a reduction are replicas.
#pragma once

#include "core/model/gpt_parameters.h"

namespace weft {

// The rule for a GPT on any mesh; a role that is not in the table is a replica.
PlacementRule tensor_parallel_placement();

}  // namespace weft
