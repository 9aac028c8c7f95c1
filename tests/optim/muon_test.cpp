// Muon against the oracle: torch.optim.Muon, its iteration in double and in bf16. Skipped where
// there is none.
#include "optim/muon.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "core/backends/backends.h"
#include "core/base/dtype.h"
#include "core/interchange/safetensors.h"
#include "core/tensor/arena.h"

namespace weft {
namespace {

const std::string kOracle = WEFT_SHARED_DATA "/oracles/muon/golden.safetensors";
constexpr double kRate = 0.02, kDecay = 0.1;
constexpr int64_t kSteps = 3;

struct Rule {
  bool nesterov;
  OptimizerConfig::UpdateScale scale;
  std::string name() const {
    return std::string(nesterov ? "nesterov" : "plain") +
           (scale == OptimizerConfig::UpdateScale::original ? ".original" : ".match_rms_adamw");
  }
};

class MuonOracle : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kOracle)) GTEST_SKIP() << kOracle << " is not there";
    file_.emplace(SafetensorsModel::open(kOracle));
  }

  std::vector<float> read(const std::string& name) {
    std::vector<float> values(static_cast<size_t>(shape(name).elements()));
    file_->read(*file_->find(name), std::as_writable_bytes(std::span(values)));
    return values;
  }
  Shape shape(const std::string& name) const {
    const std::vector<int64_t>& dims = file_->find(name)->shape;
    return {dims[0], dims[1]};
  }

  // The matrix after the last step, computed with weights of `dtype`.
  std::vector<float> train(const std::string& matrix, const Rule& rule, DType dtype) {
    ParameterSet set({}, {});
    Parameter& p = *set.add({.name = "matrix", .shape = shape(matrix + ".start"), .decay = true});
    Muon muon({.kind = OptimizerKind::muon,
               .weight_decay = kDecay,
               .nesterov = rule.nesterov,
               .update_scale = rule.scale},
              1, set, {&p});
    const size_t room = size_t{1} << 16;
    Arena weights("weights", *device_, room), gradients("gradients", *device_, room);
    Arena states("states", *device_, room), work("work", *device_, room);
    set.allocate(weights, &gradients, dtype, &states);
    muon.allocate(states, work);
    std::ranges::copy(read(matrix + ".start"), p.own_master.data<float>());
    float clip = 1;
    for (int64_t update = 1; update <= kSteps; ++update) {
      std::ranges::copy(read(matrix + ".grad." + std::to_string(update - 1)),
                        p.own_grad.data<float>());
      muon.step({.lr = kRate,
                 .clip = Tensor(&clip, {1}, DType::f32),
                 .update = Tensor(&update, {1}, DType::i64)},
                *ops_, *stream_, nullptr);
      stream_->synchronize();
    }
    const float* w = p.own_master.data<float>();
    return {w, w + p.local.elements()};
  }

  // In units of an update's size, as the oracle's tolerances are.
  void expect_near(DType dtype, const char* reference, double tolerance) {
    for (int i = 0; i < 3; ++i) {
      const std::string matrix = std::to_string(i);
      for (const bool nesterov : {true, false}) {
        for (const auto scale :
             {OptimizerConfig::UpdateScale::original, OptimizerConfig::UpdateScale::match_rms}) {
          const Rule rule{nesterov, scale};
          const std::string key =
              matrix + "." + rule.name() + "." + reference + "." + std::to_string(kSteps - 1);
          const std::vector<float> expected = read(key), w = train(matrix, rule, dtype);
          const double unit = kRate * Muon::scale(scale, shape(matrix + ".start"));
          double worst = 0;
          for (size_t e = 0; e < w.size(); ++e) {
            worst = std::max(worst, std::abs(double{w[e]} - double{expected[e]}) / unit);
          }
          EXPECT_LE(worst, tolerance) << key << " in " << name(dtype);
          RecordProperty(key, std::to_string(worst));
        }
      }
    }
  }

  std::unique_ptr<Device> device_ = make_device({.kind = DeviceKind::cpu, .threads = 1});
  std::unique_ptr<Stream> stream_ = device_->make_stream(StreamKind::compute);
  std::unique_ptr<Ops> ops_ = make_ops(*device_);
  std::optional<SafetensorsModel> file_;
};

TEST_F(MuonOracle, IsMetInF32) { expect_near(DType::f32, "f64", 4e-5); }
TEST_F(MuonOracle, IsMetInBf16) { expect_near(DType::bf16, "f64", 1e-1); }
TEST_F(MuonOracle, IsMetInBf16AsTorchComputesIt) { expect_near(DType::bf16, "torch", 1e-1); }
TEST_F(MuonOracle, IsMetInF16) { expect_near(DType::f16, "f64", 1e-1); }

}  // namespace
}  // namespace weft
