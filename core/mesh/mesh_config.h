// MeshConfig: how many ranks each axis of the mesh has.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/fields.h"
#include "core/mesh/mesh_shape.h"

namespace weft {

struct MeshConfig {
  std::optional<int64_t> dp;
  int64_t tp = 1;
  int64_t pp = 1;
  int64_t cp = 1;
  int64_t zero = 0;

  // Size of the data-parallel axis in a world of `world_size` ranks, which tp * pp * cp divides.
  int64_t data_ranks(int64_t world_size) const { return dp.value_or(world_size / (tp * pp * cp)); }

  // All axes, in a world of that size.
  MeshShape shape(int64_t world_size) const {
    const auto extent = [](int64_t n) { return static_cast<int>(n); };
    return {
        .dp = extent(data_ranks(world_size)), .cp = extent(cp), .tp = extent(tp), .pp = extent(pp)};
  }

  void fields(FieldList& list) {
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
};

}  // namespace weft
