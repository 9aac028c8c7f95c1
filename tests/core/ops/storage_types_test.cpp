// Every row of the case table in bf16 and f16 against the same op in f64, from inputs that both
// hold: what differs is the rounding of what is stored and the f32 arithmetic. Backward starts in
// both from what the 16-bit forward left.
#include <gtest/gtest.h>

#include <cmath>

#include "core/backends/backends.h"
#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

class StorageTest : public testing::TestWithParam<std::tuple<OpCase, DType>> {
 protected:
  StorageTest()
      : device_(make_device({.kind = DeviceKind::cpu, .threads = 2})),
        stream_(device_->make_stream(StreamKind::compute)),
        ops_(make_ops(*device_)) {}

  cases::Run run(DType dtype, const Values& values) {
    return make_run(case_, *ops_, *device_, *stream_, dtype, values, true);
  }
  // Inputs and gradients of outputs, as `dtype` holds them.
  Values make_values(DType dtype) const {
    Values values = make_inputs(case_, 1);
    for (const Slot& s : case_.slots) {
      for (double& v : values[s.name]) v = stored(v, s.type_in(dtype));
      const RandomKey key{.seed = 2, .stream = stream_of(s.name), .step = 0};
      std::vector<double>& d = values["d_" + s.name];
      d.resize(static_cast<size_t>(s.shape.elements()));
      for (size_t i = 0; i < d.size(); ++i) {
        d[i] = stored(2 * uniform(random_word(key, i)) - 1, s.gradient_type_in(dtype));
      }
    }
    return values;
  }
  // `bound` is relative to 1 + |want|.
  static void expect_close(const std::string& name, const cases::Run& got_run,
                           const cases::Run& want_run, double bound) {
    const std::vector<double> got = got_run.get(name);
    const std::vector<double> want = want_run.get(name);
    double worst = 0;
    size_t at = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const double error = std::fabs(got[i] - want[i]) / (1 + std::fabs(want[i]));
      if (!(error <= worst)) {
        worst = error;
        at = i;
      }
    }
    EXPECT_LE(worst, bound) << name << "[" << at << "] is " << got[at] << ", not " << want[at];
  }

  const OpCase& case_ = std::get<0>(GetParam());
  const DType dtype_ = std::get<1>(GetParam());
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Ops> ops_;
};

TEST_P(StorageTest, RoundsOnlyWhatIsStored) {
  const double unit = storage_unit(dtype_);
  const double arithmetic = rounding_unit(accumulator(dtype_));
  const Values values = make_values(dtype_);
  cases::Run narrow = run(dtype_, values);
  cases::Run wide = run(DType::f64, values);
  case_.forward(narrow);
  case_.forward(wide);
  stream_->synchronize();
  for (const Slot& s : case_.slots) {
    if (s.role == Role::input) continue;
    const bool exact = case_.name.starts_with("sum_squares");
    expect_close(s.name, narrow, wide,
                 s.roundings * unit + s.tolerance * (exact ? 0x1p-52 : arithmetic));
  }
  if (!case_.backward) return;
  for (const Slot& s : case_.slots) wide.set(s.name, narrow.get(s.name));
  case_.backward(narrow);
  case_.backward(wide);
  stream_->synchronize();
  for (const Slot& s : case_.slots) {
    if (s.role != Role::input || !s.differentiable) continue;
    expect_close("d_" + s.name, narrow, wide,
                 s.gradient_roundings * unit + s.tolerance * arithmetic);
  }
}

std::vector<OpCase> small_cases() {
  std::vector<OpCase> cases = all_cases();
  std::erase_if(cases, [](const OpCase& c) { return c.perf || c.f32_only; });
  return cases;
}

std::string test_name(const testing::TestParamInfo<std::tuple<OpCase, DType>>& info) {
  std::string text =
      fmt::format("{}_{}", name(std::get<1>(info.param)), std::get<0>(info.param).name);
  for (char& ch : text) {
    if (std::isalnum(static_cast<unsigned char>(ch)) == 0) ch = '_';
  }
  return text;
}

INSTANTIATE_TEST_SUITE_P(Table, StorageTest,
                         testing::Combine(testing::ValuesIn(small_cases()),
                                          testing::Values(DType::bf16, DType::f16)),
                         test_name);

}  // namespace
}  // namespace weft::cases
