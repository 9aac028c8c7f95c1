// The rules that checks of operations are made of. Each fails a WEFT_CHECK that says which
// operation and which of its tensors it was, what the tensor is and what it should be.
#pragma once

#include <cstdint>

#include "core/ops/op.h"
#include "core/ops/token_share.h"

namespace weft {

inline bool present(const Tensor& t) { return t.shape().rank() > 0; }

// t is a matrix of `rows` x `columns` of type `dtype`, leading dims taken together.
void expect_matrix(const OpName& op, const char* what, const Tensor& t, int64_t rows,
                   int64_t columns, DType dtype);
// t has `count` elements of type `dtype`, in any shape.
void expect_count(const OpName& op, const char* what, const Tensor& t, int64_t count, DType dtype);
// The same of a tensor that may be absent.
inline void expect_optional(const OpName& op, const char* what, const Tensor& t, int64_t count,
                            DType dtype) {
  if (present(t)) expect_count(op, what, t, count, dtype);
}
// t is of a type that is computed with.
void expect_float(const OpName& op, const char* what, const Tensor& t);
// t is of a type that sums are kept in.
void expect_sums(const OpName& op, const char* what, const Tensor& t);
// `share` says which the `count` local tokens are.
void expect_tokens(const OpName& op, const TokenShare& share, int64_t count);

}  // namespace weft
