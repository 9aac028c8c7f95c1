#include "core/ops/matmul.h"

#include "core/base/error.h"
#include "core/ops/expect.h"

namespace weft {

void op::Matmul::check() const {
  expect_float(kName, "a", a);
  expect_float(kName, "b", b);
  expect_float(kName, "c", c);
  const int64_t rows = m(), columns = n(), depth = k();
  const int64_t a_rows = transpose_a ? depth : rows, a_columns = transpose_a ? rows : depth;
  const int64_t a_width = a.shape().back(), c_width = c.shape().back();
  WEFT_CHECK(a.shape().rows() == a_rows && a_width >= a_columns && c_width >= columns,
             "matmul: {}{} by {}{} gives no {}", to_string(a), transpose_a ? " transposed" : "",
             to_string(b), transpose_b ? " transposed" : "", to_string(c));
  expect_optional(kName, "a_scale", a_scale, 1, DType::f32);
  expect_optional(kName, "b_scale", b_scale, 1, DType::f32);
  expect_optional(kName, "bias", bias, columns, c.dtype());
  if (present(pre_activation)) {
    expect_matrix(kName, "pre_activation", pre_activation, rows, columns, c.dtype());
  }
  const bool gradient = activation_gradient != Activation::none;
  if (gradient) {
    expect_matrix(kName, "activation_input", activation_input, rows, columns, c.dtype());
  }
  const bool sums = c.dtype() == accumulator(a.dtype());  // of A, which may be T itself
  const bool epilogue =
      present(bias) || present(pre_activation) || activation != Activation::none || gradient;
  WEFT_CHECK(!epilogue || (!accumulate && (!sums || c.dtype() == a.dtype())),
             "matmul: accumulate and a c of {} leave no room for an epilogue", name(c.dtype()));
  WEFT_CHECK((a_width == a_columns && c_width == columns) || (!epilogue && !present(bias_gradient)),
             "matmul: more than [{}, {}] and [{}, {}] leaves no room for an epilogue", a_rows,
             a_columns, rows, columns);
  if (!present(bias_gradient)) return;
  expect_count(kName, "bias_gradient", bias_gradient, rows, accumulator(a.dtype()));
  WEFT_CHECK(transpose_a && sums && !epilogue,
             "matmul: the gradient of a bias comes with that of its weight, not with a c of {}{}",
             name(c.dtype()), epilogue ? " and an epilogue" : "");
}

Cost op::Matmul::cost() const {
  return {.flops = 2.0 * static_cast<double>(m() * n()) * static_cast<double>(k())};
}

void expect_one_type(const op::Matmul& product, const char* backend) {
  const DType a = product.a.dtype(), b = product.b.dtype(), c = product.c.dtype();
  WEFT_CHECK(a == b && (c == a || c == accumulator(a)),
             "matmul: {} has no product of {} and {} to {}, only of one type to itself or to {}",
             backend, name(a), name(b), name(c), name(accumulator(a)));
  WEFT_CHECK(!present(product.a_scale) && !present(product.b_scale),
             "matmul: {} has no products of scaled operands, here {} and {}", backend, name(a),
             name(b));
}

}  // namespace weft
