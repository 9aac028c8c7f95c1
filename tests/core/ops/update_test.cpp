// What surrounds an update: the clip factor under a loss scale, the decision whether there is one,
// and stochastic rounding that does not see how a tensor is cut.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/backends/backends.h"
#include "core/ops/ops.h"

namespace weft {
namespace {

class UpdateTest : public testing::Test {
 protected:
  UpdateTest()
      : device_(make_device({.kind = DeviceKind::cpu, .threads = 2})),
        stream_(device_->make_stream(StreamKind::compute)),
        ops_(make_ops(*device_)) {}

  template <typename T>
  static Tensor over(std::vector<T>& values) {
    return Tensor(values.data(), {static_cast<int64_t>(values.size())}, dtype_of<T>);
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Ops> ops_;
};

TEST_F(UpdateTest, ClipFactorUndoesTheLossScale) {
  std::vector<double> partials{9.0 * 256 * 256, 16.0 * 256 * 256}, norm(1);
  std::vector<float> clip(1), scale{256};
  const auto run = [&](double max_norm) {
    (*ops_)(op::ClipFactor{.partials = over(partials),
                           .max_norm = max_norm,
                           .loss_scale = over(scale),
                           .norm = over(norm),
                           .clip = over(clip)},
            *stream_);
    stream_->synchronize();
  };
  run(0);
  EXPECT_EQ(norm[0], 5.0);
  EXPECT_EQ(clip[0], 1.0f / 256);
  run(10);
  EXPECT_EQ(clip[0], 1.0f / 256);
  run(1);
  EXPECT_EQ(clip[0], static_cast<float>(1 / (5 + 1e-6) / 256));
}

TEST_F(UpdateTest, ScaleFollowsTheGradients) {
  std::vector<double> norm(1);
  std::vector<int64_t> counters(op::DecideUpdate::counter_count);
  std::vector<float> scale{64};
  const auto decide = [&](double gradient_norm) {
    norm[0] = gradient_norm;
    (*ops_)(op::DecideUpdate{.norm = over(norm),
                             .counters = over(counters),
                             .loss_scale = over(scale),
                             .growth_interval = 3,
                             .growth = 4,
                             .backoff = 0.25,
                             .min_scale = 8,
                             .max_scale = 512},
            *stream_);
    stream_->synchronize();
  };
  const auto state = [&] {
    return std::array<double, 5>{static_cast<double>(counters[op::DecideUpdate::update]),
                                 static_cast<double>(counters[op::DecideUpdate::made]),
                                 static_cast<double>(counters[op::DecideUpdate::skipped]),
                                 static_cast<double>(counters[op::DecideUpdate::good]), scale[0]};
  };
  using State = std::array<double, 5>;
  const double infinity = std::numeric_limits<double>::infinity();
  decide(1);
  decide(1);
  EXPECT_EQ(state(), (State{2, 2, 0, 2, 64}));
  decide(1);
  EXPECT_EQ(state(), (State{3, 3, 0, 0, 256}));
  decide(1);
  decide(infinity);
  EXPECT_EQ(state(), (State{0, 4, 1, 0, 64}));
  decide(std::nan(""));
  EXPECT_EQ(state(), (State{0, 4, 2, 0, 16}));
  decide(infinity);
  EXPECT_EQ(state(), (State{0, 4, 3, 0, 8}));  // no lower
  decide(1);
  EXPECT_EQ(state(), (State{5, 5, 3, 1, 8}));
  for (int i = 0; i < 12; ++i) decide(1);
  EXPECT_EQ(state(), (State{17, 17, 3, 1, 512}));  // no higher
}

TEST_F(UpdateTest, ASkippedUpdateLeavesAllButTheGradient) {
  std::vector<float> weight{1, 2}, m{3, 4}, v{5, 6}, clip{std::nanf("")};
  std::vector<float> grad{std::nanf(""), std::numeric_limits<float>::infinity()};
  std::vector<Bf16> copy{{7}, {8}};
  std::vector<int64_t> update{0};
  const AdamWTensor tensor{.weight = over(weight),
                           .grad = over(grad),
                           .exp_avg = over(m),
                           .exp_avg_sq = over(v),
                           .rounded = over(copy),
                           .rounding = {}};
  (*ops_)(
      op::AdamW{.tensors = {&tensor, 1}, .grad_scale = over(clip), .update = over(update), .lr = 1},
      *stream_);
  stream_->synchronize();
  EXPECT_EQ(weight, (std::vector<float>{1, 2}));
  EXPECT_EQ(grad, (std::vector<float>{0, 0}));
  EXPECT_EQ(m, (std::vector<float>{3, 4}));
  EXPECT_EQ(v, (std::vector<float>{5, 6}));
  EXPECT_EQ(copy[0].bits, 7);
  EXPECT_EQ(copy[1].bits, 8);
}

// A [kRows, kColumns] tensor, and what an update makes of columns [first, first + columns) of it.
struct Cut {
  static constexpr int64_t kRows = 37, kColumns = 130;
  int64_t first, columns;

  ElementMap elements() const { return {.first = first, .columns = columns, .stride = kColumns}; }
};

float made_up(int64_t i, uint32_t stream) {
  return static_cast<float>(
      2 * uniform(random_word({.seed = 1, .stream = stream, .step = 0}, static_cast<uint64_t>(i))) -
      1);
}

TEST_F(UpdateTest, StochasticUpdatesDoNotDependOnTheCut) {
  const auto updated = [&](const std::vector<Cut>& cuts) {
    std::array<std::vector<uint16_t>, 3> whole;
    for (auto& w : whole) w.resize(Cut::kRows * Cut::kColumns);
    for (const Cut& cut : cuts) {
      std::vector<float> weight, grad, clip{1};
      std::vector<int64_t> update{5};
      for (int64_t r = 0; r < Cut::kRows; ++r) {
        for (int64_t c = cut.first; c < cut.first + cut.columns; ++c) {
          weight.push_back(made_up(r * Cut::kColumns + c, 0));
          grad.push_back(made_up(r * Cut::kColumns + c, 1));
        }
      }
      std::vector<Bf16> copy(weight.size()), m(weight.size()), v(weight.size());
      const AdamWTensor tensor{.weight = over(weight),
                               .grad = over(grad),
                               .exp_avg = over(m),
                               .exp_avg_sq = over(v),
                               .rounded = over(copy),
                               .rounding = {.seed = 3,
                                            .weight = 10,
                                            .exp_avg = 11,
                                            .exp_avg_sq = 12,
                                            .elements = cut.elements()}};
      (*ops_)(op::AdamW{.tensors = {&tensor, 1},
                        .grad_scale = over(clip),
                        .update = over(update),
                        .lr = 1e-3,
                        .stochastic = true},
              *stream_);
      // The copy made anew from the updated weights.
      std::vector<Bf16> again(weight.size());
      (*ops_)(op::CopyStochastic{.from = over(weight),
                                 .to = over(again),
                                 .key = {.seed = 3, .stream = 10, .step = 5},
                                 .elements = cut.elements()},
              *stream_);
      stream_->synchronize();
      EXPECT_EQ(std::memcmp(copy.data(), again.data(), copy.size() * sizeof(Bf16)), 0);
      for (size_t i = 0; i < weight.size(); ++i) {
        const auto e = static_cast<int64_t>(i);
        const auto at =
            static_cast<size_t>(cut.first + e / cut.columns * Cut::kColumns + e % cut.columns);
        whole[0][at] = copy[i].bits;
        whole[1][at] = m[i].bits;
        whole[2][at] = v[i].bits;
      }
    }
    return whole;
  };
  const auto one = updated({{0, Cut::kColumns}});
  EXPECT_EQ(updated({{0, 65}, {65, 65}}), one);
  EXPECT_EQ(updated({{0, 1}, {1, 7}, {8, 122}}), one);
}

}  // namespace
}  // namespace weft
