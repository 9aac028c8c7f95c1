// Made-up tokens, for runs whose data does not matter.
#pragma once

#include "launch/step/engine.h"

namespace weft {

// Uniform tokens below `vocab`, a pure function of the sample index.
FillSample random_tokens(int64_t vocab);

}  // namespace weft
