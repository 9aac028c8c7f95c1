// Activation recompute (arXiv 2205.05198, section 5): what forward keeps for backward, and what
// backward computes again. Nothing random is kept under any policy: masks are functions of (seed,
// step, global element), so that what is computed again has the same bits.
#pragma once

namespace weft {

enum class Recompute {
  none,       // all that backward reads is kept
  selective,  // but for the outputs of a block's norms, computed again from their input, and of its
              // attention core, computed again from q, k and v
  full        // of a block nothing but its input: backward runs the block's forward again
};

}  // namespace weft
