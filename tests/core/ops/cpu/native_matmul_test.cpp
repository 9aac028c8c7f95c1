// The matmul rows of the case table by native products, against the f64 of the same row. Products
// of f32, which ranks take from the BLAS, go the same way here and so prove it on every CPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/backends/backends.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/dnnl_products.h"
#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

constexpr int kThreads = 2;

std::vector<OpCase> rows() {
  std::vector<OpCase> rows = matmul_cases();
  std::erase_if(rows, [](const OpCase& c) { return c.perf; });
  return rows;
}

class NativeMatmulTest : public testing::TestWithParam<DType> {
 protected:
  NativeMatmulTest()
      : device_(make_device({.threads = kThreads})),
        stream_(device_->make_stream(StreamKind::compute)) {}

  void SetUp() override {
    if (!detail::DnnlProducts::serves(GetParam())) {
      GTEST_SKIP() << "oneDNN has no products of " << name(GetParam()) << " for this CPU";
    }
  }

  static Values inputs_of(const OpCase& c) {
    Values values = make_inputs(c, 1);
    for (const Slot& s : c.slots) {
      for (double& v : values[s.name]) v = stored(v, s.type_in(GetParam()));
      const RandomKey key{.seed = 2, .stream = stream_of(s.name), .step = 0};
      std::vector<double>& d = values["d_" + s.name];
      d.resize(static_cast<size_t>(s.shape.elements()));
      for (size_t i = 0; i < d.size(); ++i) {
        d[i] = stored(2 * uniform(random_word(key, i)) - 1, s.gradient_type_in(GetParam()));
      }
    }
    return values;
  }

  cases::Run run(const OpCase& c, Ops& ops, DType dtype, const Values& values) {
    cases::Run run = make_run(c, ops, *device_, *stream_, dtype, values, true);
    c.forward(run);
    return run;
  }

  static void expect_close(const std::string& name, const cases::Run& got_run,
                           const cases::Run& want_run, double bound) {
    const std::vector<double> got = got_run.get(name);
    const std::vector<double> want = want_run.get(name);
    for (size_t i = 0; i < got.size(); ++i) {
      ASSERT_LE(std::fabs(got[i] - want[i]), bound * (1 + std::fabs(want[i])))
          << name << "[" << i << "] is " << got[i] << ", not " << want[i];
    }
  }

  // Forward and backward, each from the same inputs.
  void check(const OpCase& c, Ops& native, Ops& reference) {
    const double unit = storage_unit(GetParam());
    const double arithmetic = rounding_unit(DType::f32);
    const Values values = inputs_of(c);
    cases::Run got = run(c, native, GetParam(), values);
    cases::Run want = run(c, reference, DType::f64, values);
    for (const Slot& s : c.slots) {
      if (s.role == Role::input) continue;
      expect_close(s.name, got, want, s.roundings * unit + s.tolerance * arithmetic);
    }
    if (!c.backward) return;
    for (const Slot& s : c.slots) want.set(s.name, got.get(s.name));
    c.backward(got);
    c.backward(want);
    for (const Slot& s : c.slots) {
      if (s.role != Role::input || !s.differentiable) continue;
      expect_close("d_" + s.name, got, want,
                   s.gradient_roundings * unit + s.tolerance * arithmetic);
    }
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
};

TEST_P(NativeMatmulTest, MatchesF64) {
  CpuOps reference(kThreads, nullptr);
  for (const OpCase& c : rows()) {
    SCOPED_TRACE(c.name);
    const auto products = std::make_shared<detail::DnnlProducts>(GetParam());
    CpuOps native(kThreads, products);
    check(c, native, reference);
    EXPECT_GT(products->kept(), 0u) << "the products were not native";
    const size_t kept = products->kept();
    check(c, native, reference);
    EXPECT_EQ(products->kept(), kept) << "primitives were made again";
  }
}

// After room was made for what counting ops said of a row, nothing grows.
TEST_P(NativeMatmulTest, WorkingMemoryIsPlanned) {
  for (const OpCase& c : rows()) {
    SCOPED_TRACE(c.name);
    CpuOps ops(kThreads, std::make_shared<detail::DnnlProducts>(GetParam()));
    const auto counting = make_counting_ops(ops.working_memory());
    const Values values = inputs_of(c);
    for (Ops* each : {counting.get(), static_cast<Ops*>(&ops)}) {
      cases::Run now = run(c, *each, GetParam(), values);
      if (c.backward) c.backward(now);
      if (each == counting.get()) ops.reserve(counting->reserved());
    }
    EXPECT_EQ(ops.reserved(), counting->reserved());
  }
}

INSTANTIATE_TEST_SUITE_P(Operands, NativeMatmulTest, testing::Values(DType::f32, DType::bf16),
                         [](const auto& test) { return std::string(name(test.param)); });

// What the key cpu.bf16_products means.
TEST(Bf16ProductsOf, TheChoice) {
  using detail::DnnlProducts;
  EXPECT_EQ(detail::make_bf16_products(Bf16Products::converted), nullptr);
  EXPECT_EQ(detail::make_bf16_products(Bf16Products::automatic) != nullptr,
            DnnlProducts::bf16_is_faster());
  const auto ops_of = [](Bf16Products choice) {
    const auto device = make_device({.threads = 1, .bf16_products = choice});
    return make_ops(*device);
  };
  EXPECT_NE(ops_of(Bf16Products::automatic), nullptr);
  if (DnnlProducts::serves(DType::bf16)) {
    EXPECT_NE(ops_of(Bf16Products::native), nullptr);
  } else {
    EXPECT_THROW(ops_of(Bf16Products::native), Error);
    // A plan may be for another machine.
    EXPECT_NE(make_working_memory({.bf16_products = Bf16Products::native}), nullptr);
  }
}

}  // namespace
}  // namespace weft::cases
