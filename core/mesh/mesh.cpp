#include "core/mesh/mesh.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"

namespace weft {
namespace {

std::string to_string(const MeshShape& shape) {
  std::vector<std::string> parts;
  for (const AxisInfo& a : kAxes)
    parts.push_back(fmt::format("{}={}", a.name, shape.extent(a.axis)));
  return fmt::format("{}", fmt::join(parts, " "));
}

void check_extents(const MeshShape& shape) {
  const auto has_ranks = [&](const AxisInfo& a) { return shape.extent(a.axis) >= 1; };
  if (std::ranges::all_of(kAxes, has_ranks)) return;
  fail(ErrorKind::config, "mesh {}: every axis needs at least 1 rank", to_string(shape));
}

// Checks before the rank's coordinate is computed from the shape.
const MeshShape& checked(const MeshShape& shape, int size) {
  check_extents(shape);
  if (shape.world() == size) return shape;
  const int others = shape.size(every_axis() - AxisSet{Axis::dp});
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
    const bool together = std::ranges::all_of(kAxes, [&](const AxisInfo& a) {
      return axes.contains(a.axis) || other.index(a.axis) == coord.index(a.axis);
    });
    if (together) ranks.push_back(r);
  }
  return ranks;
}

Mesh::Mesh(Bootstrap& bootstrap, const MeshShape& shape, const Decorate& decorate, ChainShape chain)
    : shape_(checked(shape, bootstrap.size())),
      rank_(bootstrap.rank()),
      coord_(coord_of(rank_, shape_)) {
  make_groups(
      [&](const std::string& axis, const std::vector<int>& ranks) {
        std::unique_ptr<Communicator> comm = bootstrap.split(ranks.front(), rank_, axis);
        return decorate ? decorate(std::move(comm), ranks) : std::move(comm);
      },
      chain);
}

Mesh::Mesh(const MeshShape& shape, int rank, const MakeGroup& make_group, ChainShape chain)
    : shape_(checked_shape(shape)), rank_(rank), coord_(coord_of(rank, shape_)) {
  make_groups(
      [&](const std::string& axis, const std::vector<int>& ranks) {
        const auto me = std::ranges::find(ranks, rank_) - ranks.begin();
        return make_group(axis, static_cast<int>(me), static_cast<int>(ranks.size()));
      },
      chain);
}

void Mesh::make_groups(const Make& make, ChainShape chain) {
  const auto add = [&](const std::string& name, AxisSet axes) {
    groups_.emplace_back(axes, make(name, group_ranks(coord_, axes, shape_)));
  };
  add("world", every_axis());
  for (const AxisInfo& a : kAxes) add(std::string(a.name), {a.axis});
  add(to_string(data_axes()), data_axes());
  if (shape_.pp == 1) return;
  make_channels(make, chain, false);
  if (chain == ChainShape::v) make_channels(make, chain, true);
}

Communicator& Mesh::group(AxisSet axes) {
  const auto found = std::ranges::find(groups_, axes, [](const auto& g) { return g.first; });
  WEFT_CHECK(found != groups_.end(), "no group over {}", weft::to_string(axes));
  return *found->second;
}

// The channels from a stage to the next are made in one collective call with those of every second
// other stage; the last stage of an odd ring shares both its ends and comes in a third. Stages are
// numbered in the direction of the chain.
void Mesh::make_channels(const Make& make, ChainShape chain, bool descending) {
  const int stages = shape_.pp, last = stages - 1;
  const auto stage_rank = [&](int number) {
    MeshCoord at = coord_;
    at.pp = descending ? last - number : number;
    return rank_of(at, shape_);
  };
  const bool closed = chain == ChainShape::ring;
  const auto turn_of = [&](int from) {
    if (from == last && !closed) return -1;  // leads nowhere
    return stages % 2 == 1 && from == last ? 2 : from % 2;
  };
  const int here = descending ? last - coord_.pp : coord_.pp;
  const int before = (here + last) % stages;
  for (int turn = 0; turn < (closed && stages % 2 == 1 ? 3 : 2); ++turn) {
    const bool leaves = turn_of(here) == turn;  // the channels from here are made
    const bool arrives = turn_of(before) == turn;
    std::vector<int> ranks{rank_};
    if (leaves) ranks.push_back(stage_rank((here + 1) % stages));
    if (arrives) ranks.push_back(stage_rank(before));
    std::ranges::sort(ranks);
    std::unique_ptr<Communicator> act = make("pp.act", ranks);
    std::unique_ptr<Communicator> grad = make("pp.grad", ranks);
    PipelineChannels& channels = channels_[static_cast<size_t>(descending)];
    if (leaves) {
      channels.act_out = std::move(act);
      channels.grad_in = std::move(grad);
    } else if (arrives) {
      channels.act_in = std::move(act);
      channels.grad_out = std::move(grad);
    }
  }
}

}  // namespace weft
