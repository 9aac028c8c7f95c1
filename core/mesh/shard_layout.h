// ShardLayout: where the parameters of a rank lie in flat memory, and which share of it each of the
// ranks owns that hold the same.
//
//   bucket    | p0            | p1   | p2         |..|     parameters start on a block of 1024
//   shares    | rank 0     | rank 1     | rank 2     |     equal, whole blocks; the end is padding
//
// Parameters lie in forward order. A bucket is a run of them that the same ranks hold, the unit of
// one collective; since all
// shares of a bucket are equal, reduce-scatter and all-gather work in place, whatever the sizes.
// Every block of kNormBlock elements has one owner.
//
//   bucket    | p0    | p2        |..| p1              | p3 ..................|
//   shares    | rank 0               | rank 1          | rank 2               |
//
// Where an update needs whole parameters, the borders fall between them: the parameters of a bucket
// go to the ranks largest first, each to the one that has least so far, and all shares are as large
// as the largest. Such buckets hold at least as much as makes the largest parameter fit in a share,
// if they may be that large.
//
// Pure values: a planner or a checkpoint
// computes the layout of any rank without its memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/mesh/mesh_shape.h"
#include "core/mesh/placement.h"

namespace weft {

// What ZeRO may cut: anywhere, or between parameters only.
enum class Grain { elements, whole };

class ShardLayout {
 public:
  // What the layout needs to know of a parameter.
  struct Entry {
    int64_t elements = 0;            // on this rank
    int64_t unit = 0;                // of the model: embedding, a block, ...
    bool alone = false;              // shares its bucket with no other
    AxisSet replicas = data_axes();  // whose ranks hold the same
    Grain grain = Grain::elements;
    // Elements of the largest part that a tensor-parallel rank has of it, for Grain::whole: all of
    // them then find the same owner.
    int64_t room = 0;
  };
  struct Bucket {
    size_t first, last;  // parameters [first, last)
    int64_t unit;        // of the first
    int64_t share;       // elements of each rank's share
    int64_t begin;       // of the bucket in the memory of all buckets
    AxisSet replicas;    // whose ranks share it
    int ranks;           // of those

    int64_t elements() const { return share * ranks; }
  };

  ShardLayout() = default;
  // Buckets of at least `bucket_elements`, but never over a gap in the numbers of the units, nor of
  // two groups or grains, nor, if `within_units`, over the end of a unit.
  ShardLayout(std::span<const Entry> entries, const MeshShape& mesh, int64_t bucket_elements,
              bool within_units);

  const std::vector<Bucket>& buckets() const { return buckets_; }
  int64_t elements() const;  // of all buckets, padding and all

  size_t bucket_of(size_t parameter) const { return places_[parameter].bucket; }
  // First element of a parameter within its bucket.
  int64_t offset(size_t parameter) const { return places_[parameter].offset; }
  // The elements of a parameter that lie in the share of number `rank` of its bucket's; may be
  // none.
  ElementRange share(size_t parameter, int rank) const;

 private:
  struct Place {
    size_t bucket = 0;
    int64_t offset = 0;
    int64_t elements = 0;
  };
  void add_bucket(std::span<const Entry> entries, size_t first, size_t last);
  int64_t place_in_order(std::span<const Entry> entries, size_t first, size_t last, int ranks);
  int64_t place_whole(std::span<const Entry> entries, size_t first, size_t last, int ranks);

  MeshShape mesh_;
  std::vector<Bucket> buckets_;  // in forward order
  std::vector<Place> places_;    // by parameter
};

}  // namespace weft
