#include "core/mesh/mesh_config.h"

namespace weft {

void MeshConfig::fields(FieldList& list) {
  constexpr IntRange kSize = between(1, 1 << 15);
  list.key_auto("dp", dp, kSize, "ranks", "world size / (tp * pp * cp)",
                "Data parallel: copies of the model, each on its share of the batch.");
  list.key("tp", tp, kSize, "ranks", "Tensor parallel: ranks that share each weight matrix.");
  list.key("pp", pp, kSize, "ranks", "Pipeline parallel: stages that share the layers.");
  list.key("cp", cp, kSize, "ranks",
           "Context parallel: ranks that share each sequence (ring attention).");
  list.key("zero", zero, between(0, 3), "",
           "What each rank keeps only a share of, out of the dp * cp that would hold the same "
           "(ZeRO, arXiv 1910.02054). 0: nothing. 1: the optimizer state. 2: and the "
           "gradients. 3: and the parameters.");
}

}  // namespace weft
