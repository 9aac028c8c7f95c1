// What a ParameterSet makes of specs: windows, shares, second uses, initial values.
#include "core/mesh/parameter.h"

#include <gtest/gtest.h>

#include "core/backends/backends.h"
#include "core/base/error.h"

namespace weft {
namespace {

constexpr int64_t kRows = 6, kColumns = 700;

// A table that units 0 and 2 use, a matrix that tp cuts by columns, a vector that it does not cut.
std::vector<ParamSpec> specs() {
  const Init normal{Init::Kind::normal, 1};
  return {{.name = "table",
           .shape = {kRows, kColumns},
           .init = normal,
           .place = placement(Cut::rows),
           .units = {0, 2}},
          {.name = "matrix",
           .shape = {kRows, kColumns},
           .init = normal,
           .place = placement(Cut::in),
           .units = {1}},
          {.name = "vector",
           .shape = {kColumns},
           .init = {Init::Kind::ones},
           .place = placement(Cut::none_of_shared_rows),
           .units = {1}}};
}

class Rank {
 public:
  Rank(const MeshShape& mesh, const MeshCoord& coord, const Sharding& sharding = {})
      : set(mesh, coord, sharding) {
    for (const ParamSpec& spec : specs()) set.add(spec);
  }

  void allocate() {
    set.allocate(values_, &grads_, DType::f32);
    set.initialize(7, *device_, *stream_);
  }

 private:
  static constexpr size_t kBytes = 1 << 20;
  std::unique_ptr<Device> device_ = make_device({});
  std::unique_ptr<Stream> stream_ = device_->make_stream(StreamKind::compute);
  Arena values_{"values", *device_, kBytes}, grads_{"grads", *device_, kBytes};

 public:
  ParameterSet set;
};

TEST(ParameterSet, FindsByNameAndSaysWhatIsNotThere) {
  Rank rank({}, {});
  EXPECT_EQ(rank.set.at("matrix").index, 1u);
  EXPECT_EQ(rank.set.find("matrices"), nullptr);
  EXPECT_THROW(rank.set.at("matrices"), Error);
}

TEST(ParameterSet, GivesASecondUseItsOwnGradientAndTheSameValue) {
  Rank rank({}, {}, {.zero = 2});
  Parameter& table = rank.set.at("table");
  Parameter* again = rank.set.add_alias(table, 2);
  rank.allocate();
  EXPECT_EQ(rank.set.find("table", 2), again);
  EXPECT_EQ(rank.set.find("table", 0), &table);
  EXPECT_EQ(again->value.raw(), table.value.raw());
  EXPECT_NE(again->own_grad.raw(), table.own_grad.raw());
}

// With ZeRO 1 and 2 the weights are whole everywhere, so one rank's say what they are.
TEST(ParameterSet, SharesEveryElementOutToOneRankOfThoseThatHoldIt) {
  for (const int zero : {1, 2, 3}) {
    const MeshShape mesh{.dp = 3, .cp = 2, .tp = 2};
    for (int tp = 0; tp < mesh.tp; ++tp) {
      std::vector<int64_t> covered(specs().size());
      for (int i = 0; i < mesh.dp * mesh.cp; ++i) {
        Rank rank(mesh, {.dp = i / mesh.cp, .cp = i % mesh.cp, .tp = tp}, {.zero = zero});
        rank.allocate();
        for (const auto& p : rank.set) {
          covered[p->index] += p->own.size();
          EXPECT_EQ(p->own.size(), p->own_grad.elements());
          EXPECT_EQ(p->own, rank.set.share(*p));
        }
      }
      Rank any(mesh, {.tp = tp});
      for (const auto& p : any.set) EXPECT_EQ(covered[p->index], p->local.elements());
    }
  }
}

TEST(ParameterSet, StartsFromTheSameWeightsOnEveryMesh) {
  Rank whole({}, {});
  whole.allocate();
  const auto value = [&](const std::string& name, int64_t row, int64_t column) {
    return whole.set.at(name).value.data<float>()[row * kColumns + column];
  };
  const MeshShape mesh{.tp = 2};
  for (int tp = 0; tp < mesh.tp; ++tp) {
    Rank rank(mesh, {.tp = tp});
    rank.allocate();
    const Parameter& table = rank.set.at("table");
    const Parameter& matrix = rank.set.at("matrix");
    EXPECT_EQ(table.first_row, tp * kRows / 2);
    EXPECT_EQ(table.value.data<float>()[5], value("table", table.first_row, 5));
    EXPECT_EQ(matrix.local, (Shape{kRows, kColumns / 2}));
    EXPECT_EQ(matrix.value.data<float>()[kColumns / 2 + 3],
              value("matrix", 1, tp * kColumns / 2 + 3));
    EXPECT_EQ(rank.set.at("vector").value.data<float>()[kColumns - 1], 1.0f);
  }
}

TEST(ParameterSet, HoldsWhatItsStageHolds) {
  const MeshShape mesh{.pp = 2};
  for (int stage = 0; stage < mesh.pp; ++stage) {
    ParameterSet set(mesh, {.pp = stage});
    for (ParamSpec spec : specs()) {
      spec.stages = {spec.units.front() == 0 ? 0 : 1};
      EXPECT_EQ(set.add(spec) == nullptr, spec.stages.front() != stage) << spec.name;
    }
    EXPECT_EQ(set.global_elements(), elements(specs()));
    EXPECT_EQ(set.size(), stage == 0 ? 1u : 2u);
  }
}

}  // namespace
}  // namespace weft
