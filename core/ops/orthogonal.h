// The elementwise parts of a Newton-Schulz iteration, which makes a matrix orthogonal by products.
#pragma once

#include "core/ops/expect.h"
#include "core/ops/op.h"

namespace weft {

namespace op {

// y = x / max(sqrt(sum of partials in index order), eps).
struct Normalize {
  static constexpr OpName kName{"normalize", OpFamily::optimizer};

  Tensor x;         // f32
  Tensor partials;  // f64
  Tensor y;         // =, as many as x, of any floating-point type
  double eps = 1e-7;

  void check() const {
    expect_count(kName, "x", x, x.elements(), DType::f32);
    expect_count(kName, "partials", partials, partials.elements(), DType::f64);
    expect_float(kName, "y", y);
    expect_count(kName, "y", y, x.elements(), y.dtype());
  }
  Cost cost() const { return moved({x, y}); }
  SizeTensors sizes() const { return {x}; }
};

// y = a I + b x + c square, of matrices [n,n], where square = x x.
struct Polynomial {
  static constexpr OpName kName{"polynomial", OpFamily::optimizer};

  Tensor x;       // of T
  Tensor square;  // of A
  Tensor y;       // of T, =; may be x
  double a = 0, b = 0, c = 0;

  void check() const {
    const int64_t n = x.shape().back();
    expect_float(kName, "x", x);
    expect_matrix(kName, "x", x, n, n, x.dtype());
    expect_matrix(kName, "square", square, n, n, accumulator(x.dtype()));
    expect_matrix(kName, "y", y, n, n, x.dtype());
  }
  Cost cost() const { return moved({x, square, y}); }
  SizeTensors sizes() const { return {x}; }
};

}  // namespace op

using OrthogonalOps = Types<op::Normalize, op::Polynomial>;

}  // namespace weft
