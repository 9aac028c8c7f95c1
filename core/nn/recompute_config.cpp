#include "core/nn/recompute_config.h"

namespace weft {

void RecomputeConfig::fields(FieldList& list) {
  list.key("policy", policy,
           "Activations that backward computes again instead of keeping them: none; selective, "
           "the outputs of norms and of the attention core; full, all of a block but its input. "
           "Results have the same bits.");
  list.key("stages", stages, TextRule::any,
           "One policy for each pipeline stage, first to last; empty: `policy` for all.");
}

}  // namespace weft
