// Activation recompute (arXiv 2205.05198, section 5): what forward keeps for backward, and what
// backward computes again. Nothing random is kept under any policy: masks are functions of (seed,
// step, global element), so that what is computed again has the same bits.
#pragma once

#include <cstdint>

#include "core/base/dtype.h"

namespace weft {

enum class Recompute {
  none,       // all that backward reads is kept
  selective,  // but for the outputs of a block's norms, computed again from their input, and of its
              // attention core, computed again from q, k and v
  full        // of a block nothing but its input: backward runs the block's forward again
};

// What the sizes of a micro-batch's activations follow from; the legend is context.h's.
struct ActivationSizes {
  int64_t all_rows = 0;     // R
  int64_t shared_rows = 0;  // S
  DType dtype = DType::f32;
  Recompute recompute = Recompute::none;
};

}  // namespace weft
