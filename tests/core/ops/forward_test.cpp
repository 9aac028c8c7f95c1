// Every row of the case table against its plain reference, in f32 and f64; the f32 gradients
// against the f64 ones, which gradient_test holds to finite differences; and one thread against
// two, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/backends/backends.h"
#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Machine {
  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> stream;
  std::unique_ptr<Ops> ops;
};
Machine machine(int threads) {
  Machine m;
  m.device = make_device({.kind = DeviceKind::cpu, .threads = threads});
  m.stream = m.device->make_stream(StreamKind::compute);
  m.ops = make_ops(*m.device);
  return m;
}

// The values after forward and, where there is one, backward, from inputs of `seed`.
Values results(const OpCase& c, const Machine& m, DType dtype, bool backward) {
  Values values = make_inputs(c, 1);
  if (backward) {
    for (const Slot& s : c.slots) {
      const RandomKey key{.seed = 2, .stream = stream_of(s.name), .step = 0};
      std::vector<double>& d = values["d_" + s.name];
      d.resize(static_cast<size_t>(s.shape.elements()));
      for (size_t i = 0; i < d.size(); ++i) {
        d[i] = static_cast<float>(2 * uniform(random_word(key, i)) - 1);
      }
    }
  }
  Run run = make_run(c, *m.ops, *m.device, *m.stream, dtype, values, backward);
  c.forward(run);
  if (backward) c.backward(run);
  m.stream->synchronize();
  for (auto& [name, v] : values) v = run.get(name);
  return values;
}

void expect_close(const std::string& what, const std::vector<double>& got,
                  const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  double worst = 0;
  size_t at = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(got[i] - want[i]) / (1 + std::fabs(want[i]));
    if (!(error <= worst)) {
      worst = error;
      at = i;
    }
  }
  EXPECT_LE(worst, tolerance) << what << "[" << at << "] is " << got[at] << ", not " << want[at];
}

class OpTest : public testing::TestWithParam<OpCase> {};
class GradientTypeTest : public OpTest {};
class OrderTest : public OpTest {};

std::vector<DType> types(const OpCase& c) {
  if (c.f32_only) return {DType::f32};
  return {DType::f32, DType::f64};
}

TEST_P(OpTest, MatchesThePlainReference) {
  const OpCase& c = GetParam();
  const Machine m = machine(2);
  Values want = make_inputs(c, 1);
  c.reference(want);
  for (const DType dtype : types(c)) {
    const Values got = results(c, m, dtype, false);
    // Sums of squares are f64 sums of f64 terms whatever the type.
    const bool exact = c.name.starts_with("sum_squares");
    for (const Slot& s : c.slots) {
      if (s.role == Role::input) continue;
      const double unit = rounding_unit(exact ? DType::f64 : dtype);
      expect_close(fmt::format("{} {}", name(dtype), s.name), got.at(s.name), want.at(s.name),
                   s.tolerance * unit + s.roundings * storage_unit(s.type_in(dtype)));
    }
  }
}

TEST_P(GradientTypeTest, GradientsInF32MatchF64) {
  const OpCase& c = GetParam();
  const Machine m = machine(2);
  const Values got = results(c, m, DType::f32, true);
  const Values want = results(c, m, DType::f64, true);
  for (const Slot& s : c.slots) {
    if (s.role != Role::input || !s.differentiable) continue;
    expect_close("d_" + s.name, got.at("d_" + s.name), want.at("d_" + s.name),
                 s.tolerance * rounding_unit(DType::f32));
  }
}

TEST_P(OrderTest, DoesNotDependOnTheThreadCount) {
  const OpCase& c = GetParam();
  const bool backward = static_cast<bool>(c.backward);
  for (const DType dtype : types(c)) {
    const Values one = results(c, machine(1), dtype, backward);
    const Values two = results(c, machine(2), dtype, backward);
    const Values three = results(c, machine(3), dtype, backward);
    for (const auto& [name, v] : one) {
      const size_t bytes = v.size() * sizeof(double);
      EXPECT_EQ(std::memcmp(v.data(), two.at(name).data(), bytes), 0) << name;
      EXPECT_EQ(std::memcmp(v.data(), three.at(name).data(), bytes), 0) << name;
    }
  }
}

template <typename Wanted>
std::vector<OpCase> rows(const Wanted& wanted) {
  std::vector<OpCase> cases = all_cases();
  std::erase_if(cases, [&](const OpCase& c) { return c.perf || !wanted(c); });
  return cases;
}

std::string test_name(const testing::TestParamInfo<OpCase>& info) {
  std::string name = info.param.name;
  for (char& ch : name) {
    if (std::isalnum(static_cast<unsigned char>(ch)) == 0) ch = '_';
  }
  return name;
}

const auto all = [](const OpCase&) { return true; };
const auto differentiable = [](const OpCase& c) { return static_cast<bool>(c.backward); };
const auto ordered = [](const OpCase& c) { return c.ordered; };
INSTANTIATE_TEST_SUITE_P(Table, OpTest, testing::ValuesIn(rows(all)), test_name);
INSTANTIATE_TEST_SUITE_P(Table, GradientTypeTest, testing::ValuesIn(rows(differentiable)),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Table, OrderTest, testing::ValuesIn(rows(ordered)), test_name);

}  // namespace
}  // namespace weft::cases
