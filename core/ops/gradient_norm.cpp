#include "core/ops/gradient_norm.h"

#include "core/base/error.h"

namespace weft {

void op::SumSquares::check() const {
  for (const BlockSquares& t : tensors) {
    expect_float(kName, "x", t.x);
    const int64_t blocks = (t.x.elements() + kNormBlock - 1) / kNormBlock;
    expect_count(kName, "partials", t.partials, blocks, DType::f64);
    WEFT_CHECK(t.x.dtype() == tensors.front().x.dtype(), "sum_squares: {} beside {}",
               to_string(t.x), to_string(tensors.front().x));
  }
}

Cost op::SumSquares::cost() const {
  Cost sum;
  for (const BlockSquares& t : tensors) sum.bytes += moved({t.x, t.partials}).bytes;
  return sum;
}

}  // namespace weft
