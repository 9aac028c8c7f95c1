#include "core/ops/dropout.h"

#include "core/base/error.h"
#include "core/ops/expect.h"

namespace weft {

void op::Dropout::check() const {
  expect_float(kName, "x", x);
  expect_count(kName, "y", y, x.elements(), x.dtype());
  WEFT_CHECK(p >= 0 && p < 1, "dropout: probability {}", p);
  expect_tokens(kName, rows.tokens, rows.tokens.count);
  WEFT_CHECK(first_column >= 0 && first_column + x.shape().back() <= global_columns,
             "dropout: columns [{}, {}) of {}", first_column, first_column + x.shape().back(),
             global_columns);
}

}  // namespace weft
