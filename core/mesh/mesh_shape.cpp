#include "core/mesh/mesh_shape.h"

#include "core/base/error.h"

namespace weft {

std::string_view name(Axis axis) {
  constexpr std::array<std::string_view, kAxes> kNames{"dp", "cp", "tp", "pp"};
  return kNames[static_cast<size_t>(axis)];
}

int MeshShape::extent(Axis axis) const {
  return std::array<int, kAxes>{dp, cp, tp, pp}[static_cast<size_t>(axis)];
}

int MeshCoord::index(Axis axis) const {
  return std::array<int, kAxes>{dp, cp, tp, pp}[static_cast<size_t>(axis)];
}

MeshCoord coord_of(int rank, const MeshShape& shape) {
  WEFT_CHECK(0 <= rank && rank < shape.world(), "rank {} is not in a world of {}", rank,
             shape.world());
  MeshCoord coord;
  coord.tp = rank % shape.tp;
  rank /= shape.tp;
  coord.cp = rank % shape.cp;
  rank /= shape.cp;
  coord.dp = rank % shape.dp;
  coord.pp = rank / shape.dp;
  return coord;
}

int rank_of(const MeshCoord& coord, const MeshShape& shape) {
  return ((coord.pp * shape.dp + coord.dp) * shape.cp + coord.cp) * shape.tp + coord.tp;
}

}  // namespace weft
