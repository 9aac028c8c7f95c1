#include "core/dist/mesh.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"

namespace weft {
namespace {

constexpr AxisSet kEveryAxis{Axis::dp, Axis::cp, Axis::tp, Axis::pp};

std::string to_string(const MeshShape& s) {
  return fmt::format("dp={} cp={} tp={} pp={}", s.dp, s.cp, s.tp, s.pp);
}

void check_extents(const MeshShape& shape) {
  if (std::min({shape.dp, shape.cp, shape.tp, shape.pp}) >= 1) return;
  fail(ErrorKind::config, "mesh {}: every axis needs at least 1 rank", to_string(shape));
}

// Checks before the rank's coordinate is computed from the shape.
const MeshShape& checked(const MeshShape& shape, int size) {
  check_extents(shape);
  if (shape.world() == size) return shape;
  const int others = shape.cp * shape.tp * shape.pp;
  if (size % others == 0) {
    fail(ErrorKind::config,
         "mesh {} has {} ranks, the job has {}; set mesh.dp to {} or start {} ranks",
         to_string(shape), shape.world(), size, size / others, shape.world());
  }
  fail(ErrorKind::config,
       "mesh {} has {} ranks, the job has {}, which cp * tp * pp = {} does not divide; start a "
       "multiple of {} ranks or choose cp, tp and pp whose product divides {}",
       to_string(shape), shape.world(), size, others, others, size);
}

const MeshShape& checked_shape(const MeshShape& shape) {
  check_extents(shape);
  return shape;
}

}  // namespace

std::vector<int> group_ranks(const MeshCoord& coord, AxisSet axes, const MeshShape& shape) {
  std::vector<int> ranks;
  for (int r = 0; r < shape.world(); ++r) {
    const MeshCoord other = coord_of(r, shape);
    const bool together = std::ranges::all_of(
        std::array{Axis::dp, Axis::cp, Axis::tp, Axis::pp},
        [&](Axis a) { return axes.contains(a) || other.index(a) == coord.index(a); });
    if (together) ranks.push_back(r);
  }
  return ranks;
}

Mesh::Mesh(Bootstrap& bootstrap, const MeshShape& shape, const Decorate& decorate)
    : shape_(checked(shape, bootstrap.size())),
      rank_(bootstrap.rank()),
      coord_(coord_of(rank_, shape_)) {
  make_groups([&](const std::string& axis, AxisSet axes) {
    const std::vector<int> ranks = group_ranks(coord_, axes, shape_);
    std::unique_ptr<Communicator> comm = bootstrap.split(ranks.front(), rank_, axis);
    return decorate ? decorate(std::move(comm)) : std::move(comm);
  });
}

Mesh::Mesh(const MeshShape& shape, int rank, const MakeGroup& make_group)
    : shape_(checked_shape(shape)), rank_(rank), coord_(coord_of(rank, shape_)) {
  make_groups([&](const std::string& axis, AxisSet axes) {
    const std::vector<int> ranks = group_ranks(coord_, axes, shape_);
    const auto me = std::ranges::find(ranks, rank_) - ranks.begin();
    return make_group(axis, static_cast<int>(me), static_cast<int>(ranks.size()));
  });
}

void Mesh::make_groups(const MakeAxes& make) {
  world_ = make("world", kEveryAxis);
  for (const Axis a : {Axis::dp, Axis::cp, Axis::tp, Axis::pp}) {
    axes_[static_cast<size_t>(a)] = make(std::string(name(a)), AxisSet{a});
  }
  gradient_ = make("dp+cp", {Axis::dp, Axis::cp});
}

}  // namespace weft
