#include "core/ops/expect.h"

#include "core/base/error.h"

namespace weft {

void expect_matrix(const OpName& op, const char* what, const Tensor& t, int64_t rows,
                   int64_t columns, DType dtype) {
  WEFT_CHECK(t.shape().rank() >= 1 && t.shape().rows() == rows && t.shape().back() == columns,
             "{}: {} is {} where [{}, {}] is needed", op.text, what, to_string(t), rows, columns);
  WEFT_CHECK(t.dtype() == dtype, "{}: {} is {} where {} is needed", op.text, what, to_string(t),
             name(dtype));
}

void expect_count(const OpName& op, const char* what, const Tensor& t, int64_t count, DType dtype) {
  WEFT_CHECK(t.shape().rank() >= 1 && t.elements() == count && t.dtype() == dtype,
             "{}: {} is {} where {} elements of {} are needed", op.text, what, to_string(t), count,
             name(dtype));
}

void expect_float(const OpName& op, const char* what, const Tensor& t) {
  const DType d = t.dtype();
  const bool is_float = d == DType::f32 || d == DType::f64 || d == DType::bf16 || d == DType::f16;
  WEFT_CHECK(t.shape().rank() >= 1 && is_float,
             "{}: {} is {} where f32, f64, bf16 or f16 is needed", op.text, what, to_string(t));
}

void expect_sums(const OpName& op, const char* what, const Tensor& t) {
  WEFT_CHECK(t.shape().rank() >= 1 && (t.dtype() == DType::f32 || t.dtype() == DType::f64),
             "{}: {} is {} where f32 or f64 is needed", op.text, what, to_string(t));
}

void expect_tokens(const OpName& op, const TokenShare& share, int64_t count) {
  const int64_t second_run = share.count - share.run;
  const int64_t begin = second_run > 0 ? share.second : share.first + share.run;
  WEFT_CHECK(share.count == count && share.run >= 1 && second_run >= 0 && share.first >= 0 &&
                 begin >= share.first + share.run,
             "{}: {} tokens, {} at {} and {} at {}, for {}", op.text, share.count, share.run,
             share.first, second_run, share.second, count);
}

}  // namespace weft
