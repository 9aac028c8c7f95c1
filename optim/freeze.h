// Parameters that a run leaves as they are.
#pragma once

#include <span>
#include <string>

#include "core/mesh/parameter.h"
#include "core/ops/ops.h"

namespace weft {

// Freezes the parameters of this rank whose logical tensors match one of the patterns (glob.h). A
// parameter of several logical tensors (q, k and v) freezes when they all match; that a pattern
// names only some of them is refused where configurations are checked.
void freeze(ParameterSet& parameters, std::span<const std::string> patterns);

// Sets what this rank owns of the gradients of frozen parameters to zero, so that the global norm
// is that of what trains. Call when the sum over ranks is there, before the norm.
void clear_frozen_gradients(ParameterSet& parameters, Ops& ops, Stream& stream);

}  // namespace weft
