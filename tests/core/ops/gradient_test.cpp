// Every differentiable row of the case table against central differences in double.
#include <gtest/gtest.h>

#include <cmath>

#include "core/backends/backends.h"
#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

constexpr size_t kSamples = 48;  // elements of each input that are perturbed
constexpr double kStep = 1e-5;

// A case in f64 and the loss that is differentiated: the sum over outputs of weight * value.
class Problem {
 public:
  explicit Problem(const OpCase& c)
      : case_(c),
        device_(make_device({.kind = DeviceKind::cpu, .threads = 1})),
        stream_(device_->make_stream(StreamKind::compute)),
        ops_(make_ops(*device_)),
        inputs_(make_inputs(c, 3)),
        run_(make_run(c, *ops_, *device_, *stream_, DType::f64, inputs_, true)) {
    for (const Slot& s : c.slots) fill("d_" + s.name, 4);
  }

  // d loss / d input by the op: what backward left, less what it added to.
  std::vector<double> gradient(const std::string& input) {
    reset();
    const std::vector<double> base = run_.get("d_" + input);
    case_.forward(run_);
    case_.backward(run_);
    stream_->synchronize();
    std::vector<double> d = run_.get("d_" + input);
    const auto& set = case_.overwritten;
    if (std::find(set.begin(), set.end(), "d_" + input) == set.end()) {
      for (size_t i = 0; i < d.size(); ++i) d[i] -= base[i];
    }
    return d;
  }

  // d loss / d input[i] by central differences.
  double difference(const std::string& input, size_t i) {
    return (loss(input, i, kStep) - loss(input, i, -kStep)) / (2 * kStep);
  }

  // The size of the terms of the loss, whose roundings the differences see.
  double magnitude() const { return magnitude_; }

 private:
  void fill(const std::string& name, uint64_t seed) {
    const RandomKey key{.seed = seed, .stream = stream_of(name), .step = 0};
    std::vector<double>& v = gradients_[name];
    v.resize(static_cast<size_t>(run_(name).elements()));
    for (size_t i = 0; i < v.size(); ++i) v[i] = 2 * uniform(random_word(key, i)) - 1;
  }

  void reset() {
    for (const auto& [name, v] : inputs_) run_.set(name, v);
    for (const auto& [name, v] : gradients_) run_.set(name, v);
  }

  double loss(const std::string& input, size_t i, double step) {
    std::vector<double> moved = inputs_.at(input);
    moved[i] += step;
    for (const Slot& s : case_.slots) {
      if (s.role != Role::input) run_.set(s.name, inputs_.at(s.name));
    }
    run_.set(input, moved);
    case_.forward(run_);
    stream_->synchronize();
    run_.set(input, inputs_.at(input));
    double sum = 0;
    magnitude_ = 0;
    for (const Slot& s : case_.slots) {
      if (s.role == Role::input || !s.differentiable) continue;
      const std::vector<double> out = run_.get(s.name);
      const std::vector<double>& weight = gradients_.at("d_" + s.name);
      for (size_t k = 0; k < out.size(); ++k) {
        sum += weight[k] * out[k];
        magnitude_ += std::fabs(weight[k] * out[k]);
      }
    }
    return sum;
  }

  const OpCase& case_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Ops> ops_;
  Values inputs_, gradients_;
  Run run_;
  double magnitude_ = 0;
};

class GradientTest : public testing::TestWithParam<OpCase> {};

// Central differences are off by step^2 / 6 times the third derivative and by the roundings of the
// loss over the step: 1e-10 and 1e-11 times the sizes of these cases. 1e-8 leaves room for third
// derivatives of a hundred.
TEST_P(GradientTest, MatchesCentralDifferences) {
  const OpCase& c = GetParam();
  Problem problem(c);
  for (const Slot& s : c.slots) {
    if (s.role != Role::input || !s.differentiable) continue;
    const std::vector<double> d = problem.gradient(s.name);
    const size_t count = std::min(kSamples, d.size());
    for (size_t k = 0; k < count; ++k) {
      const size_t i = k * d.size() / count;
      const double want = problem.difference(s.name, i);
      const double roundings = 4 * 0x1p-52 * problem.magnitude() / kStep;
      ASSERT_NEAR(d[i], want, 1e-8 * (1 + std::fabs(want)) + roundings)
          << "d loss / d " << s.name << "[" << i << "]";
    }
  }
}

std::vector<OpCase> differentiable() {
  std::vector<OpCase> cases = all_cases();
  std::erase_if(cases, [](const OpCase& c) { return c.perf || !c.backward; });
  return cases;
}

std::string test_name(const testing::TestParamInfo<OpCase>& info) {
  std::string name = info.param.name;
  for (char& ch : name) {
    if (std::isalnum(static_cast<unsigned char>(ch)) == 0) ch = '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Table, GradientTest, testing::ValuesIn(differentiable()), test_name);

}  // namespace
}  // namespace weft::cases
