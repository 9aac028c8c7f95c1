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

  // Ranks that one copy of the model takes.
  int64_t model_ranks() const { return tp * pp * cp; }

  // Size of the data-parallel axis in a world of `world_size` ranks, which model_ranks() divides.
  int64_t data_ranks(int64_t world_size) const { return dp.value_or(world_size / model_ranks()); }

  // All axes, in a world of that size.
  MeshShape shape(int64_t world_size) const {
    const auto extent = [](int64_t n) { return static_cast<int>(n); };
    return {
        .dp = extent(data_ranks(world_size)), .cp = extent(cp), .tp = extent(tp), .pp = extent(pp)};
  }

  void fields(FieldList& list);
};

}  // namespace weft
