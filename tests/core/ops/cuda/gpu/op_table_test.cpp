// Every row of the case table on the GPU, in f32, bf16 and f16, against the same op of the CPU in
// f64, from inputs that both hold. Backward starts in both from what the GPU's forward left.
#include <gtest/gtest.h>

#include <cmath>

#include "core/backends/backends.h"
#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Machine {
  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Ops> ops;

  explicit Machine(DeviceKind kind)
      : device(make_device({.kind = kind, .threads = 2})),
        stream(device->make_stream(StreamKind::compute)),
        ops(make_ops(*device)) {}
};

class GpuOpTest : public testing::TestWithParam<std::tuple<OpCase, DType>> {
 protected:
  static void SetUpTestSuite() {
    if (cuda_report().devices.empty()) return;
    gpu_ = std::make_unique<Machine>(DeviceKind::cuda);
    cpu_ = std::make_unique<Machine>(DeviceKind::cpu);
  }
  static void TearDownTestSuite() {
    gpu_.reset();
    cpu_.reset();
  }
  void SetUp() override {
    if (gpu_ == nullptr) GTEST_SKIP() << "no GPU: " << cuda_report().problem;
  }

  cases::Run run(Machine& m, DType dtype, const Values& values) const {
    return make_run(case_, *m.ops, *m.device, *m.stream, dtype, values, true);
  }
  Values make_values() const {
    Values values = make_inputs(case_, 1);
    for (const Slot& s : case_.slots) {
      for (double& v : values[s.name]) v = stored(v, s.type_in(dtype_));
      const RandomKey key{.seed = 2, .stream = stream_of(s.name), .step = 0};
      std::vector<double>& d = values["d_" + s.name];
      d.resize(static_cast<size_t>(s.shape.elements()));
      for (size_t i = 0; i < d.size(); ++i) {
        d[i] = stored(2 * uniform(random_word(key, i)) - 1, s.gradient_type_in(dtype_));
      }
    }
    return values;
  }
  // What tensor cores round beyond what is stored: probabilities and their gradients, term by term
  // of sums of about `tolerance` terms, so that the errors grow like its root.
  double of_tensor_cores(const Slot& s) const {
    return case_.name.starts_with("attention") ? 2 * std::sqrt(s.tolerance) : 0;
  }
  void expect_close(const std::string& name, const cases::Run& got_run, const cases::Run& want_run,
                    double bound) const {
    const std::vector<double> got = got_run.get(name);
    const std::vector<double> want = want_run.get(name);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_LE(std::fabs(got[i] - want[i]), bound * (1 + std::fabs(want[i])))
          << name << "[" << i << "] is " << got[i] << ", not " << want[i];
    }
  }

  const OpCase& case_ = std::get<0>(GetParam());
  const DType dtype_ = std::get<1>(GetParam());
  static inline std::unique_ptr<Machine> gpu_, cpu_;
};

TEST_P(GpuOpTest, MatchesTheCpu) {
  const double unit = storage_unit(dtype_);
  const double arithmetic = rounding_unit(accumulator(dtype_));
  const Values values = make_values();
  cases::Run got = run(*gpu_, dtype_, values);
  cases::Run want = run(*cpu_, case_.f32_only ? DType::f32 : DType::f64, values);
  case_.forward(got);
  case_.forward(want);
  for (const Slot& s : case_.slots) {
    if (s.role == Role::input) continue;
    expect_close(s.name, got, want,
                 (s.roundings + of_tensor_cores(s)) * unit + s.tolerance * arithmetic);
  }
  if (!case_.backward) return;
  for (const Slot& s : case_.slots) want.set(s.name, got.get(s.name));
  case_.backward(got);
  case_.backward(want);
  for (const Slot& s : case_.slots) {
    if (s.role != Role::input || !s.differentiable) continue;
    expect_close("d_" + s.name, got, want,
                 (s.gradient_roundings + of_tensor_cores(s)) * unit + s.tolerance * arithmetic);
  }
}

// Every op has an order of sums that the shape fixes.
TEST_P(GpuOpTest, GivesTheSameBitsAgain) {
  const Values values = make_values();
  std::vector<std::map<std::string, std::vector<double>>> results;
  for (int i = 0; i < 2; ++i) {
    cases::Run run_now = run(*gpu_, dtype_, values);
    case_.forward(run_now);
    if (case_.backward) case_.backward(run_now);
    auto& result = results.emplace_back();
    for (const auto& [name, v] : values) result[name] = run_now.get(name);
  }
  EXPECT_EQ(results[0], results[1]);
}

std::vector<std::tuple<OpCase, DType>> rows() {
  std::vector<std::tuple<OpCase, DType>> rows;
  for (const OpCase& c : all_cases()) {
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
      if (c.perf || (c.f32_only && dtype != DType::f32)) continue;
      rows.emplace_back(c, dtype);
    }
  }
  return rows;
}

std::string test_name(const testing::TestParamInfo<std::tuple<OpCase, DType>>& info) {
  std::string text =
      fmt::format("{}_{}", name(std::get<1>(info.param)), std::get<0>(info.param).name);
  for (char& ch : text) {
    if (std::isalnum(static_cast<unsigned char>(ch)) == 0) ch = '_';
  }
  return text;
}

INSTANTIATE_TEST_SUITE_P(Table, GpuOpTest, testing::ValuesIn(rows()), test_name);

}  // namespace
}  // namespace weft::cases
