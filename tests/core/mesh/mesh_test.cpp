#include "core/mesh/mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"

namespace weft {
namespace {

using ::testing::ElementsAre;

// Knows its place in its group and nothing else.
class NamedGroup final : public Communicator {
 public:
  NamedGroup(std::string axis, int rank, int size)
      : axis_(std::move(axis)), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& axis() const override { return axis_; }
  void all_reduce(const Tensor&, ReduceOp, Stream&) override {}
  void reduce_scatter(const Tensor&, const Tensor&, Stream&) override {}
  void all_gather(const Tensor&, const Tensor&, Stream&) override {}
  void broadcast(const Tensor&, int, Stream&) override {}
  void exchange(std::span<const P2P>, Stream&) override {}
  void barrier() override {}

 private:
  std::string axis_;
  int rank_;
  int size_;
};

std::unique_ptr<Communicator> named_group(const std::string& axis, int rank, int size) {
  return std::make_unique<NamedGroup>(axis, rank, size);
}

// A job of a size; enough of it to see what a mesh refuses.
class SizedBootstrap final : public Bootstrap {
 public:
  explicit SizedBootstrap(int size) : size_(size) {}
  int rank() const override { return 0; }
  int size() const override { return size_; }
  int local_rank() const override { return 0; }
  int local_size() const override { return size_; }
  void barrier() override {}
  std::string broadcast(const std::string& text, int) override { return text; }
  std::vector<std::string> all_gather(const std::string& text) override { return {text}; }
  std::unique_ptr<Communicator> split(int, int, const std::string& axis) override {
    return named_group(axis, 0, 1);
  }

 private:
  int size_;
};

std::string refusal(int ranks, const MeshShape& shape) {
  SizedBootstrap bootstrap(ranks);
  try {
    const Mesh mesh(bootstrap, shape);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::config);
    return error.what();
  }
  return "accepted";
}

TEST(MeshGroups, DifferInTheirAxesAlone) {
  const MeshShape shape{.dp = 2, .cp = 2, .tp = 2, .pp = 3};
  const MeshCoord coord{.dp = 1, .cp = 0, .tp = 1, .pp = 2};  // rank 21
  EXPECT_EQ(rank_of(coord, shape), 21);
  EXPECT_THAT(group_ranks(coord, {Axis::tp}, shape), ElementsAre(20, 21));
  EXPECT_THAT(group_ranks(coord, {Axis::cp}, shape), ElementsAre(21, 23));
  EXPECT_THAT(group_ranks(coord, {Axis::dp}, shape), ElementsAre(17, 21));
  EXPECT_THAT(group_ranks(coord, {Axis::pp}, shape), ElementsAre(5, 13, 21));
  EXPECT_THAT(group_ranks(coord, {Axis::dp, Axis::cp}, shape), ElementsAre(17, 19, 21, 23));
}

TEST(Mesh, RankInEveryGroupIsItsCoordinate) {
  const MeshShape shape{.dp = 3, .cp = 2, .tp = 4, .pp = 2};
  for (int rank = 0; rank < shape.world(); ++rank) {
    Mesh mesh(shape, rank, named_group);
    for (const Axis a : {Axis::dp, Axis::cp, Axis::tp, Axis::pp}) {
      EXPECT_EQ(mesh.axis(a).rank(), coord_of(rank, shape).index(a));
      EXPECT_EQ(mesh.axis(a).size(), shape.extent(a));
      EXPECT_EQ(mesh.axis(a).axis(), name(a));
    }
    EXPECT_EQ(mesh.world().rank(), rank);
    EXPECT_EQ(mesh.world().size(), 48);
    EXPECT_EQ(mesh.group(data_axes()).size(), 6);
    EXPECT_EQ(mesh.group(data_axes()).rank(), mesh.coord().dp * shape.cp + mesh.coord().cp);
    EXPECT_EQ(mesh.group(data_axes()).axis(), "dp+cp");
  }
}

TEST(Mesh, RefusesAnotherNumberOfRanksWithTheWayOut) {
  EXPECT_EQ(refusal(8, {.dp = 2, .tp = 2}),
            "mesh dp=2 cp=1 tp=2 pp=1 has 4 ranks, the job has 8; set mesh.dp to 4 or start 4 "
            "ranks");
  EXPECT_EQ(refusal(4, {.dp = 1, .tp = 3}),
            "mesh dp=1 cp=1 tp=3 pp=1 has 3 ranks, the job has 4, which cp * tp * pp = 3 does not "
            "divide; start a multiple of 3 ranks or choose cp, tp and pp whose product divides 4");
  EXPECT_EQ(refusal(4, {.dp = 0}), "mesh dp=0 cp=1 tp=1 pp=1: every axis needs at least 1 rank");
  EXPECT_EQ(refusal(4, {.dp = 4}), "accepted");
}

TEST(Mesh, DecoratesEveryGroup) {
  SizedBootstrap bootstrap(1);
  std::vector<std::string> seen;
  const auto note = [&](std::unique_ptr<Communicator> inner, const std::vector<int>& ranks) {
    seen.push_back(inner->axis());
    EXPECT_THAT(ranks, ElementsAre(0));
    return inner;
  };
  const Mesh mesh(bootstrap, {}, note);
  EXPECT_THAT(seen, ElementsAre("world", "dp", "cp", "tp", "pp", "dp+cp"));
}

}  // namespace
}  // namespace weft
