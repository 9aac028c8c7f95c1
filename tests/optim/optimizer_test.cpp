// Optimizers against their formulas in double, each behind the interface that the engine uses.
#include "optim/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>

#include "core/backends/backends.h"
#include "core/tensor/arena.h"

namespace weft {
namespace {

constexpr int64_t kRows = 3, kColumns = 5, kTable = 7;

// A matrix of a block, a bias, and a table, whose gradients are functions of the update.
class OptimizerTest : public ::testing::Test {
 protected:
  void make(const OptimizerConfig& config) {
    config_ = config;
    set_.add({.name = "table", .shape = {kTable, kColumns}, .decay = true, .table = true});
    set_.add({.name = "matrix", .shape = {kRows, kColumns}, .decay = true, .units = {1}});
    set_.add({.name = "bias", .shape = {kColumns}, .units = {1}});
    optimizer_ = make_optimizer(config, 1, set_);
    for (Arena* arena : {&weights_, &gradients_, &states_, &work_}) {
      *arena = Arena(arena->name(), *device_, size_t{1} << 16);
    }
    set_.allocate(weights_, &gradients_, DType::f32);
    optimizer_->allocate(states_, work_);
    for (const auto& p : set_) {
      for (int64_t i = 0; i < p->local.elements(); ++i) weight(*p, i) = start(*p, i);
    }
  }

  static float& weight(Parameter& p, int64_t i) { return p.value.data<float>()[i]; }
  static float start(const Parameter& p, int64_t i) {
    return 0.3f * std::sin(static_cast<float>(i) + static_cast<float>(p.index));
  }
  static float gradient(const Parameter& p, int64_t update, int64_t i) {
    return std::cos(static_cast<float>(3 * i + update) + static_cast<float>(p.index)) / 4;
  }

  // Update `update`; 0 is one that is skipped.
  void step(int64_t update, UpdateListener* listener = nullptr) {
    for (const auto& p : set_) {
      for (int64_t i = 0; i < p->local.elements(); ++i) {
        p->own_grad.data<float>()[i] = gradient(*p, update, i);
      }
    }
    number_ = update;
    optimizer_->step({.lr = kRate,
                      .clip = Tensor(&clip_, {1}, DType::f32),
                      .update = Tensor(&number_, {1}, DType::i64)},
                     *ops_, *stream_, listener);
    stream_->synchronize();
    for (const auto& p : set_) {
      if (p->frozen) continue;
      for (int64_t i = 0; i < p->local.elements(); ++i) {
        ASSERT_EQ(p->own_grad.data<float>()[i], 0) << p->spec.name;
      }
    }
  }

  std::vector<std::string> kinds(size_t parameter) const {
    std::vector<std::string> all;
    for (const StateTensor& s : optimizer_->states(set_[parameter])) all.emplace_back(s.kind);
    return all;
  }

  static constexpr double kRate = 0.02;

  std::unique_ptr<Device> device_ = make_device({.kind = DeviceKind::cpu, .threads = 1});
  std::unique_ptr<Stream> stream_ = device_->make_stream(StreamKind::compute);
  std::unique_ptr<Ops> ops_ = make_ops(*device_);
  ParameterSet set_{{}, {}};
  Arena weights_{"weights"}, gradients_{"gradients"}, states_{"states"}, work_{"work"};
  OptimizerConfig config_;
  std::unique_ptr<Optimizer> optimizer_;
  float clip_ = 0.5f;
  int64_t number_ = 0;
};

// Told of parameters in the order of registration.
class Order final : public UpdateListener {
 public:
  void value_updated(const Parameter& p, Stream&) override { told.push_back(p.index); }
  std::vector<size_t> told;
};

class Kinds : public OptimizerTest, public ::testing::WithParamInterface<OptimizerKind> {};

TEST_P(Kinds, TellOfEveryParameterOnceInOrder) {
  make({.kind = GetParam()});
  Order order;
  step(1, &order);
  EXPECT_EQ(order.told, (std::vector<size_t>{0, 1, 2}));
}

TEST_P(Kinds, LeaveEverythingWhereAnUpdateIsSkipped) {
  make({.kind = GetParam()});
  step(0);
  for (const auto& p : set_) {
    for (int64_t i = 0; i < p->local.elements(); ++i) EXPECT_EQ(weight(*p, i), start(*p, i));
    for (const StateTensor& s : optimizer_->states(*p)) {
      for (int64_t i = 0; i < s.own.elements(); ++i) EXPECT_EQ(s.own.data<float>()[i], 0);
    }
  }
}

TEST_P(Kinds, LeaveFrozenParametersAlone) {
  for (size_t frozen = 0; frozen < 3; ++frozen) {
    set_ = ParameterSet({}, {});
    make({.kind = GetParam()});
    set_[frozen].frozen = true;
    optimizer_->allocate(states_, work_);
    step(1);
    for (const auto& p : set_) {
      EXPECT_EQ(weight(*p, 1) == start(*p, 1), p->frozen) << p->spec.name;
    }
    EXPECT_FALSE(optimizer_->states(set_[frozen]).empty());  // it is in checkpoints all the same
  }
}

TEST_P(Kinds, DecayMatricesAlone) {
  make({.kind = GetParam(), .weight_decay = 0.5});
  clip_ = 0;  // no gradient
  step(1);
  for (const auto& p : set_) {
    const double kept = p->spec.decay ? 1 - kRate * 0.5 : 1;
    EXPECT_NEAR(weight(*p, 1), kept * static_cast<double>(start(*p, 1)), 1e-7) << p->spec.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Optimizer, Kinds,
                         ::testing::Values(OptimizerKind::adamw, OptimizerKind::sgd,
                                           OptimizerKind::muon),
                         [](const auto& test) { return std::string(enum_name(test.param)); });

TEST_F(OptimizerTest, AdamwKeepsTwoMeansAndCutsAnywhere) {
  make({});
  EXPECT_EQ(kinds(1), (std::vector<std::string>{"exp_avg", "exp_avg_sq"}));
  EXPECT_EQ(set_[1].grain, Grain::elements);
}

TEST_F(OptimizerTest, SgdSumsMomentum) {
  for (const bool nesterov : {false, true}) {
    set_ = ParameterSet({}, {});
    make({.kind = OptimizerKind::sgd, .momentum = 0.8, .nesterov = nesterov});
    EXPECT_EQ(kinds(0), std::vector<std::string>{"momentum"});
    EXPECT_EQ(set_[1].grain, Grain::elements);
    for (int64_t update = 1; update <= 4; ++update) step(update);
    for (const auto& p : set_) {
      for (int64_t i = 0; i < p->local.elements(); ++i) {
        double w = start(*p, i), m = 0;
        for (int64_t update = 1; update <= 4; ++update) {
          const double g = 0.5 * static_cast<double>(gradient(*p, update, i));
          m = 0.8 * m + g;
          w = (1 - kRate * (p->spec.decay ? 0.1 : 0)) * w - kRate * (nesterov ? g + 0.8 * m : m);
        }
        EXPECT_NEAR(weight(*p, i), w, 1e-6) << p->spec.name << " " << i;
      }
    }
  }
}

TEST_F(OptimizerTest, MuonTakesMatricesWhole) {
  make({.kind = OptimizerKind::muon});
  const std::vector<std::string> of_adamw{"exp_avg", "exp_avg_sq"};
  EXPECT_EQ(kinds(0), of_adamw);
  EXPECT_EQ(kinds(1), std::vector<std::string>{"momentum"});
  EXPECT_EQ(kinds(2), of_adamw);
  EXPECT_EQ(set_[0].grain, Grain::elements);
  EXPECT_EQ(set_[1].grain, Grain::whole);
}

// The first update of AdamW is the learning rate in size.
TEST_F(OptimizerTest, MuonGivesAdamwItsOwnRate) {
  make({.kind = OptimizerKind::muon, .weight_decay = 0, .adamw_lr_factor = 0.25});
  step(1);
  EXPECT_NEAR(std::abs(weight(set_[2], 1) - start(set_[2], 1)), 0.25 * kRate, 1e-6);
}

}  // namespace
}  // namespace weft
