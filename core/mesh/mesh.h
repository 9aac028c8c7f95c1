// Mesh: the communicators of one rank, one for each set of axes that somebody talks over, and the
// channels to the neighbouring pipeline stages.
//
//   Mesh mesh(*bootstrap, {.dp = 2, .tp = 2});
//   mesh.axis(Axis::tp).all_reduce(partial, ReduceOp::sum, stream);
//
// A group over a set of axes is the ranks that differ in those coordinates alone, in world order. A
// group of one rank is a communicator that does nothing.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/mesh/chain.h"
#include "core/mesh/communicator.h"
#include "core/mesh/mesh_shape.h"

namespace weft {

// World ranks that share every coordinate of `coord` on the axes that are not in `axes`, in world
// order.
std::vector<int> group_ranks(const MeshCoord& coord, AxisSet axes, const MeshShape& shape);

// A pipeline's one-way channels of one rank, each a group of the two ranks at its ends, so that no
// message waits behind one for somebody else. In a ring the last stage's next is the first, where a
// v-shaped chain has none. Null without a pipeline.
struct PipelineChannels {
  std::unique_ptr<Communicator> act_out;   // activations to the next stage
  std::unique_ptr<Communicator> act_in;    // activations from the stage before
  std::unique_ptr<Communicator> grad_out;  // gradients to the stage before
  std::unique_ptr<Communicator> grad_in;   // gradients from the next stage
};

class Mesh {
 public:
  // Wraps a communicator that the mesh is about to own, for example to trace it; `ranks` are the
  // world ranks of its group.
  using Decorate = std::function<std::unique_ptr<Communicator>(std::unique_ptr<Communicator>,
                                                               const std::vector<int>& ranks)>;
  // The communicator of a group that has `size` ranks, of which this is number `rank`.
  using MakeGroup =
      std::function<std::unique_ptr<Communicator>(const std::string& axis, int rank, int size)>;

  // Collective: all ranks call it with the same shape, and with the shape of the pipeline's chain.
  // Throws Error{config} if the shape does not have as many ranks as the job.
  Mesh(Bootstrap& bootstrap, const MeshShape& shape, const Decorate& decorate = {},
       ChainShape chain = ChainShape::ring);
  // The mesh that `rank` of a job of this shape would have, from communicators made without peers:
  // for planners. Throws Error{config} if the shape is not valid.
  Mesh(const MeshShape& shape, int rank, const MakeGroup& make_group,
       ChainShape chain = ChainShape::ring);

  const MeshShape& shape() const { return shape_; }
  const MeshCoord& coord() const { return coord_; }
  int rank() const { return rank_; }
  // There are groups over each axis, over data_axes(), and over every axis.
  Communicator& group(AxisSet axes);
  Communicator& axis(Axis axis) { return group({axis}); }
  Communicator& world() { return group(every_axis()); }
  // Of the chunks that go through the stages upwards, or, in a v-shaped chain, of those that
  // descend, whose next stage is the one before.
  PipelineChannels& channels(bool descending) { return channels_[static_cast<size_t>(descending)]; }

 private:
  // The group of `ranks`, world ranks in order, of which this is one.
  using Make = std::function<std::unique_ptr<Communicator>(const std::string&,
                                                           const std::vector<int>& ranks)>;
  void make_groups(const Make& make, ChainShape chain);
  void make_channels(const Make& make, ChainShape chain, bool descending);

  MeshShape shape_;
  int rank_;
  MeshCoord coord_;
  std::vector<std::pair<AxisSet, std::unique_ptr<Communicator>>> groups_;
  std::array<PipelineChannels, 2> channels_;
};

}  // namespace weft
