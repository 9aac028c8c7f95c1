#include "core/ops/embedding.h"

#include "core/base/error.h"
#include "core/ops/expect.h"

namespace weft {
namespace {

// table and positions, or their gradients, are of `dtype`.
void check_lookup(const OpName& op, const Tensor& tokens, const Tensor& table,
                  const Tensor& positions, const TokenShare& places, const Tensor& rows,
                  DType dtype) {
  WEFT_CHECK(tokens.shape().rank() == 2 && tokens.dtype() == DType::i32,
             "{}: tokens are {} where i32[B, T] is needed", op.text, to_string(tokens));
  expect_float(op, "rows", rows);
  const int64_t columns = table.shape().back();
  expect_matrix(op, "table", table, table.shape().rows(), columns, dtype);
  expect_matrix(op, "rows", rows, tokens.elements(), columns, rows.dtype());
  if (!present(positions)) return;
  expect_matrix(op, "positions", positions, positions.shape().rows(), columns, dtype);
  expect_tokens(op, places, tokens.shape().back());
  WEFT_CHECK(places.last() < positions.shape().rows(), "{}: position {} is not in {}", op.text,
             places.last(), to_string(positions));
}

}  // namespace

void op::EmbeddingForward::check() const {
  check_lookup(kName, tokens, table, positions, places, y, y.dtype());
}

void op::EmbeddingBackward::check() const {
  check_lookup(kName, tokens, dtable, dpositions, places, dy, accumulator(dy.dtype()));
}

}  // namespace weft
