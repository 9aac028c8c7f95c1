// LayerNorm (arXiv 1607.06450) over the last dim.
#pragma once

#include "core/ops/expect.h"
#include "core/ops/op.h"

namespace weft {
namespace op {

// Optionally fused with the residual sum before it:
// sum = x + residual; y = (sum - mean) * rstd * weight + bias, of the sum as it is stored.
struct NormForward {
  static constexpr OpName kName{"norm_forward", OpFamily::norm};

  Tensor x;         // [R,C]
  Tensor residual;  // [R,C], optional
  Tensor sum;       // [R,C] =, present iff residual is; may be x or residual itself
  Tensor weight;    // [C]
  Tensor bias;      // [C], optional
  Tensor y;         // [R,C] =
  Tensor mean;      // [R] = of A
  Tensor rstd;      // [R] = of A
  double eps = 1e-5;

  void check() const {
    expect_float(kName, "x", x);
    const int64_t rows = x.shape().rows(), columns = x.shape().back();
    const DType dtype = x.dtype();
    if (present(residual) || present(sum)) {
      expect_matrix(kName, "residual", residual, rows, columns, dtype);
      expect_matrix(kName, "sum", sum, rows, columns, dtype);
    }
    expect_count(kName, "weight", weight, columns, dtype);
    expect_optional(kName, "bias", bias, columns, dtype);
    expect_matrix(kName, "y", y, rows, columns, dtype);
    expect_count(kName, "mean", mean, rows, accumulator(dtype));
    expect_count(kName, "rstd", rstd, rows, accumulator(dtype));
  }
  Cost cost() const { return moved({x, residual, sum, y}); }
  SizeTensors sizes() const { return {x}; }
};

struct NormBackward {
  static constexpr OpName kName{"norm_backward", OpFamily::norm};

  Tensor dy;       // [R,C]
  Tensor x;        // [R,C], what was normalised (sum)
  Tensor weight;   // [C]
  Tensor mean;     // [R], of A
  Tensor rstd;     // [R], of A
  Tensor dx;       // [R,C] +=, the gradient of the residual stream
  Tensor dweight;  // [C] += of A
  Tensor dbias;    // [C] += of A, optional

  void check() const {
    expect_float(kName, "x", x);
    const int64_t rows = x.shape().rows(), columns = x.shape().back();
    const DType dtype = x.dtype(), sums = accumulator(dtype);
    expect_matrix(kName, "dy", dy, rows, columns, dtype);
    expect_matrix(kName, "dx", dx, rows, columns, dtype);
    expect_count(kName, "weight", weight, columns, dtype);
    expect_count(kName, "mean", mean, rows, sums);
    expect_count(kName, "rstd", rstd, rows, sums);
    expect_count(kName, "dweight", dweight, columns, sums);
    expect_optional(kName, "dbias", dbias, columns, sums);
  }
  Cost cost() const { return moved({dy, x, dx, dx}); }
  SizeTensors sizes() const { return {x}; }
};

}  // namespace op

using NormOps = Types<op::NormForward, op::NormBackward>;

}  // namespace weft
