#include "core/mesh/mesh_shape.h"

#include <ranges>

#include "core/base/error.h"

namespace weft {

int MeshShape::size(AxisSet axes) const {
  int size = 1;
  for (const AxisInfo& a : kAxes) {
    if (axes.contains(a.axis)) size *= extent(a.axis);
  }
  return size;
}

int MeshShape::world() const { return size(every_axis()); }

std::string to_string(AxisSet axes) {
  std::string text;
  for (const AxisInfo& a : kAxes) {
    if (!axes.contains(a.axis)) continue;
    if (!text.empty()) text += '+';
    text += a.name;
  }
  return text;
}

MeshCoord coord_of(int rank, const MeshShape& shape) {
  WEFT_CHECK(0 <= rank && rank < shape.world(), "rank {} is not in a world of {}", rank,
             shape.world());
  MeshCoord coord;
  for (const Axis axis : std::views::reverse(kSlowestFirst)) {
    coord.*info(axis).index = rank % shape.extent(axis);
    rank /= shape.extent(axis);
  }
  return coord;
}

int rank_of(const MeshCoord& coord, const MeshShape& shape) {
  return index_in(every_axis(), coord, shape);
}

int index_in(AxisSet axes, const MeshCoord& coord, const MeshShape& shape) {
  int index = 0;
  for (const Axis axis : kSlowestFirst) {
    if (axes.contains(axis)) index = index * shape.extent(axis) + coord.index(axis);
  }
  return index;
}

}  // namespace weft
