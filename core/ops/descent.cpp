#include "core/ops/descent.h"

#include "core/base/error.h"
#include "core/ops/expect.h"

namespace weft {
namespace {

void expect_rounding(const OpName& op, const StochasticRounding& rounding, uint64_t seed) {
  expect_elements(op, rounding.elements);
  WEFT_CHECK(rounding.seed == seed, "{}: two seeds, {} and {}", op.text, rounding.seed, seed);
}

}  // namespace

void op::Momentum::check() const {
  expect_count(kName, "grad_scale", grad_scale, 1, DType::f32);
  expect_count(kName, "update", update, 1, DType::i64);
  WEFT_CHECK(!tensors.empty(), "momentum: no tensors");
  const MomentumTensor& first = tensors.front();
  const DType type = first.momentum.dtype() == DType::bf16 ? DType::bf16 : DType::f32;
  for (const MomentumTensor& t : tensors) {
    const int64_t count = t.grad.elements();
    expect_count(kName, "grad", t.grad, count, DType::f32);
    expect_count(kName, "momentum", t.momentum, count, type);
    if (stochastic) expect_rounding(kName, t.rounding, first.rounding.seed);
  }
}

Cost op::Momentum::cost() const {
  Cost sum;
  for (const MomentumTensor& t : tensors) sum.bytes += 2 * moved({t.grad, t.momentum}).bytes;
  return sum;
}

void op::Descend::check() const {
  expect_count(kName, "update", update, 1, DType::i64);
  WEFT_CHECK(!tensors.empty(), "descend: no tensors");
  const DescentTensor& first = tensors.front();
  const DType copy = first.rounded.dtype() == DType::f16 ? DType::f16 : DType::bf16;
  expect_float(kName, "direction", first.direction);
  for (const DescentTensor& t : tensors) {
    const int64_t count = t.weight.elements();
    expect_count(kName, "weight", t.weight, count, DType::f32);
    expect_count(kName, "grad", t.grad, count, DType::f32);
    expect_count(kName, "direction", t.direction, count, first.direction.dtype());
    WEFT_CHECK(present(t.rounded) == present(first.rounded),
               "descend: some tensors have a rounded copy");
    expect_optional(kName, "rounded", t.rounded, count, copy);
    if (stochastic) expect_rounding(kName, t.rounding, first.rounding.seed);
  }
}

Cost op::Descend::cost() const {
  Cost sum;
  for (const DescentTensor& t : tensors) {
    sum.bytes += moved({t.weight, t.weight, t.grad, t.direction, t.rounded}).bytes;
  }
  return sum;
}

}  // namespace weft
