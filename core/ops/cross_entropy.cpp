#include "core/ops/cross_entropy.h"

#include "core/base/error.h"

namespace weft {
namespace {

// Of either pass.
template <typename Op>
void check_rows(const Op& op) {
  expect_float(Op::kName, "logits", op.logits);
  const int64_t rows = op.logits.shape().rows();
  const DType sums = accumulator(op.logits.dtype());
  WEFT_CHECK(op.valid >= 0 && op.valid <= op.logits.shape().back(), "{}: {} valid columns of {}",
             Op::kName.text, op.valid, to_string(op.logits));
  expect_count(Op::kName, "targets", op.targets, rows, DType::i32);
  expect_count(Op::kName, "row_max", op.row_max, rows, sums);
  expect_count(Op::kName, "row_sum", op.row_sum, rows, sums);
}

}  // namespace

void op::SoftmaxStats::check() const {
  check_rows(*this);
  expect_count(kName, "target_logit", target_logit, logits.shape().rows(),
               accumulator(logits.dtype()));
}

void op::CrossEntropyBackward::check() const {
  check_rows(*this);
  expect_optional(kName, "loss_scale", loss_scale, 1, DType::f32);
}

}  // namespace weft
