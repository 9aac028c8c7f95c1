#include "core/mesh/placement.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace weft {
namespace {

// Counts how often each element of each logical tensor is held by an owner.
std::map<std::string, std::vector<int>> coverage(const ParamSpec& spec, const MeshShape& mesh) {
  std::map<std::string, std::vector<int>> counts;
  for (int rank = 0; rank < mesh.world(); ++rank) {
    const MeshCoord coord = coord_of(rank, mesh);
    if (!is_owner(spec, coord)) continue;
    for (const Region& r : regions(spec, mesh, coord)) {
      std::vector<int>& held = counts[r.tensor];
      held.resize(static_cast<size_t>(r.tensor_shape.elements()));
      const int64_t width = r.tensor_shape.rank() > 1 ? r.tensor_shape[1] : 1;
      const int64_t columns = r.extent.rank() > 1 ? r.extent[1] : 1;
      const int64_t first_column = r.offset.rank() > 1 ? r.offset[1] : 0;
      for (int64_t i = 0; i < r.extent[0]; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
          ++held[static_cast<size_t>((r.offset[0] + i) * width + first_column + j)];
        }
      }
    }
  }
  return counts;
}

void expect_each_element_once(const ParamSpec& spec, const MeshShape& mesh, int64_t elements) {
  int64_t total = 0;
  for (const auto& [tensor, counts] : coverage(spec, mesh)) {
    for (const int c : counts) ASSERT_EQ(c, 1) << tensor;
    total += static_cast<int64_t>(counts.size());
  }
  EXPECT_EQ(total, elements);
}

ParamSpec qkv(int64_t heads, int64_t head_dim, int64_t width) {
  const int64_t rows = heads * head_dim;
  return {.name = "qkv",
          .shape = {3 * rows, width},
          .init = {},
          .decay = true,
          .place = {.splits = {{Axis::tp, 0, {rows, rows, rows}, head_dim}}, .grad_partial = {}},
          .stages = {},
          .parts = {{"q", rows}, {"k", rows}, {"v", rows}}};
}

TEST(Mesh, RanksAndCoordinatesAreInverse) {
  const MeshShape mesh{.dp = 3, .cp = 2, .tp = 4, .pp = 2};
  for (int r = 0; r < mesh.world(); ++r) EXPECT_EQ(rank_of(coord_of(r, mesh), mesh), r);
  EXPECT_EQ(coord_of(1, mesh).tp, 1);
  EXPECT_EQ(coord_of(4, mesh).cp, 1);
  EXPECT_EQ(coord_of(8, mesh).dp, 1);
  EXPECT_EQ(coord_of(24, mesh).pp, 1);
}

TEST(Placement, EveryRankGetsItsHeadsOfEachSegment) {
  const ParamSpec spec = qkv(4, 2, 3);
  const MeshShape mesh{.tp = 2};
  const std::vector<Region> second = regions(spec, mesh, coord_of(1, mesh));
  ASSERT_EQ(second.size(), 3u);
  EXPECT_EQ(second[1].tensor, "k");
  EXPECT_EQ(second[1].offset, (Shape{4, 0}));
  EXPECT_EQ(second[1].extent, (Shape{4, 3}));
  EXPECT_EQ(second[1].local_begin, 4 * 3);
  EXPECT_EQ(local_shape(spec, mesh, coord_of(1, mesh)), (Shape{12, 3}));
}

TEST(Placement, OwnersCoverEachElementOnce) {
  for (const MeshShape mesh : {MeshShape{}, MeshShape{.dp = 2}, MeshShape{.dp = 2, .tp = 4},
                               MeshShape{.cp = 2, .tp = 2, .pp = 2}, MeshShape{.tp = 3}}) {
    expect_each_element_once(qkv(4, 2, 3), mesh, 3 * 8 * 3);
    const ParamSpec columns{.name = "proj",
                            .shape = {5, 7},
                            .init = {},
                            .decay = true,
                            .place = {.splits = {{Axis::tp, 1, {}, 1}}, .grad_partial = {}},
                            .stages = {0},
                            .parts = {}};
    expect_each_element_once(columns, mesh, 35);
    const ParamSpec norm{.name = "norm",
                         .shape = {7},
                         .init = {},
                         .decay = false,
                         .place = {.splits = {}, .grad_partial = {Axis::tp}},
                         .stages = {},
                         .parts = {}};
    expect_each_element_once(norm, mesh, 7);
    EXPECT_EQ(replica_axes(norm), data_axes());
    EXPECT_EQ(replica_axes(columns), data_axes());
  }
}

// The elements of a local tensor that a list of rectangles covers, in order, by tensor and global
// index.
std::vector<std::pair<std::string, int64_t>> elements_of(const std::vector<Region>& list) {
  std::vector<std::pair<std::string, int64_t>> all;
  for (const Region& r : list) {
    const bool matrix = r.extent.rank() == 2;
    for (int64_t i = 0; i < r.extent.elements(); ++i) {
      const int64_t columns = matrix ? r.extent[1] : 1;
      const int64_t row = r.offset[0] + i / columns;
      all.emplace_back(r.tensor,
                       matrix ? row * r.tensor_shape[1] + r.offset[1] + i % columns : row);
    }
  }
  return all;
}

TEST(Clip, CoversAnyRangeInOrder) {
  const MeshShape mesh{.tp = 2};
  const ParamSpec columns{.name = "proj",
                          .shape = {5, 14},
                          .init = {},
                          .decay = true,
                          .place = {.splits = {{Axis::tp, 1, {}, 1}}, .grad_partial = {}},
                          .stages = {},
                          .parts = {}};
  const ParamSpec vector{.name = "bias", .shape = {36}, .init = {}, .place = {}};
  for (const ParamSpec& spec : {qkv(4, 2, 3), columns, vector}) {
    const std::vector<Region> held = regions(spec, mesh, coord_of(1, mesh));
    const auto all = elements_of(held);
    for (size_t begin = 0; begin <= all.size(); ++begin) {
      for (size_t end = begin; end <= all.size(); ++end) {
        const std::vector<Region> clipped =
            clip(held, {static_cast<int64_t>(begin), static_cast<int64_t>(end)});
        const std::vector<std::pair<std::string, int64_t>> expected(
            all.begin() + static_cast<ptrdiff_t>(begin), all.begin() + static_cast<ptrdiff_t>(end));
        ASSERT_EQ(elements_of(clipped), expected) << spec.name << " " << begin << " " << end;
        auto at = static_cast<int64_t>(begin);
        for (const Region& r : clipped) {
          ASSERT_EQ(r.local_begin, at);
          at += r.extent.elements();
        }
      }
    }
  }
}

}  // namespace
}  // namespace weft
