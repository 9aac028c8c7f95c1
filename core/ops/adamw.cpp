#include "core/ops/adamw.h"

#include "core/base/error.h"
#include "core/ops/expect.h"

namespace weft {

void op::AdamW::check() const {
  expect_count(kName, "grad_scale", grad_scale, 1, DType::f32);
  expect_count(kName, "update", update, 1, DType::i64);
  WEFT_CHECK(!tensors.empty(), "adamw: no tensors");
  const AdamWTensor& first = tensors.front();
  const DType moment = first.exp_avg.dtype() == DType::bf16 ? DType::bf16 : DType::f32;
  const DType copy = first.rounded.dtype() == DType::f16 ? DType::f16 : DType::bf16;
  for (const AdamWTensor& t : tensors) {
    const int64_t count = t.weight.elements();
    expect_count(kName, "weight", t.weight, count, DType::f32);
    expect_count(kName, "grad", t.grad, count, DType::f32);
    expect_count(kName, "exp_avg", t.exp_avg, count, moment);
    expect_count(kName, "exp_avg_sq", t.exp_avg_sq, count, moment);
    WEFT_CHECK(present(t.rounded) == present(first.rounded),
               "adamw: some tensors have a rounded copy");
    expect_optional(kName, "rounded", t.rounded, count, copy);
    if (!stochastic) continue;
    expect_elements(kName, t.rounding.elements);
    WEFT_CHECK(t.rounding.seed == first.rounding.seed, "adamw: two seeds, {} and {}",
               t.rounding.seed, first.rounding.seed);
  }
}

Cost op::AdamW::cost() const {
  Cost sum;
  for (const AdamWTensor& t : tensors) {
    sum.bytes +=
        2 * moved({t.weight, t.grad, t.exp_avg, t.exp_avg_sq}).bytes + moved({t.rounded}).bytes;
  }
  return sum;
}

}  // namespace weft
