// LayerNorm, with and without the fused residual sum and the bias.
#include <cmath>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Norm {
  int64_t rows, columns;
  bool residual, bias;
};
constexpr double kEps = 1e-5;

void forward(const Norm& n, Run& r) {
  op::NormForward args;
  args.x = r("x");
  if (n.residual) {
    args.residual = r("residual");
    args.sum = r("sum");
  }
  args.weight = r("weight");
  if (n.bias) args.bias = r("bias");
  args.y = r("y");
  args.mean = r("mean");
  args.rstd = r("rstd");
  args.eps = kEps;
  r.ops(args, r.stream);
}

// norm_backward adds to the gradient of the sum, which is that of x and of the residual.
void backward(const Norm& n, Run& r) {
  const Tensor dsum = r.temporary("dsum", {n.rows, n.columns});
  if (n.residual) r.ops(op::Add{.a = dsum, .b = r("d_sum"), .y = dsum}, r.stream);
  op::NormBackward args;
  args.dy = r("d_y");
  args.x = n.residual ? r("sum") : r("x");
  args.weight = r("weight");
  args.mean = r("mean");
  args.rstd = r("rstd");
  args.dx = dsum;
  args.dweight = r("d_weight");
  if (n.bias) args.dbias = r("d_bias");
  r.ops(args, r.stream);
  r.ops(op::Add{.a = r("d_x"), .b = dsum, .y = r("d_x")}, r.stream);
  if (n.residual) r.ops(op::Add{.a = r("d_residual"), .b = dsum, .y = r("d_residual")}, r.stream);
}

void reference(const Norm& n, Values& v) {
  for (int64_t row = 0; row < n.rows; ++row) {
    std::vector<double> x(static_cast<size_t>(n.columns));
    double mean = 0, variance = 0;
    for (size_t c = 0; c < x.size(); ++c) {
      const size_t at = static_cast<size_t>(row) * x.size() + c;
      x[c] = v["x"][at];
      if (n.residual) v["sum"][at] = x[c] += v["residual"][at];
      mean += x[c] / static_cast<double>(n.columns);
    }
    for (const double e : x) variance += (e - mean) * (e - mean) / static_cast<double>(n.columns);
    const double rstd = 1 / std::sqrt(variance + kEps);
    v["mean"][static_cast<size_t>(row)] = mean;
    v["rstd"][static_cast<size_t>(row)] = rstd;
    for (size_t c = 0; c < x.size(); ++c) {
      v["y"][static_cast<size_t>(row) * x.size() + c] =
          (x[c] - mean) * rstd * v["weight"][c] + (n.bias ? v["bias"][c] : 0);
    }
  }
}

// Mean and variance are averages of `columns` terms, each off by about sqrt(columns) roundings
// before the division: a dozen units with the later steps for the shapes here, whose standardised
// values stay below 4 and whose rstd stays below 4. A weight's gradient sums `rows` such values.
//
// In 16-bit types the sum, up to 2, is rounded by up to 2 u, and its statistics are those of what
// was stored: the mean moves by up to 2 u, rstd by up to rstd^2 2 u = 32 u, and an output by up to
// rstd (2 + 2) u + 4 * 4 * 2 u = 48 u. Backward stores a gradient of up to 1 + 4 (1 + 1 + 4) = 25
// here, and then what it is added to.
OpCase make(const Norm& n, bool perf = false) {
  OpCase c;
  c.name = fmt::format("norm{}{}/{}x{}", n.residual ? "/residual" : "", n.bias ? "/bias" : "",
                       n.rows, n.columns);
  const Shape matrix{n.rows, n.columns};
  const double over_rows = 16 + 4 * static_cast<double>(n.rows);
  c.slots = {{.name = "x", .shape = matrix, .tolerance = 64, .gradient_roundings = 26},
             {.name = "weight",
              .shape = {n.columns},
              .tolerance = over_rows,
              .weight = true,
              .gradient_roundings = 0},
             {.name = "y",
              .shape = matrix,
              .role = Role::output,
              .tolerance = 24,
              .roundings = n.residual ? 49.0 : 1.0},
             {.name = "mean",
              .shape = {n.rows},
              .role = Role::output,
              .differentiable = false,
              .tolerance = 8,
              .sums = true,
              .roundings = n.residual ? 2.0 : 0.0},
             {.name = "rstd",
              .shape = {n.rows},
              .role = Role::output,
              .differentiable = false,
              .tolerance = 16,
              .sums = true,
              .roundings = n.residual ? 32.0 : 0.0}};
  if (n.residual) {
    c.slots.push_back(
        {.name = "residual", .shape = matrix, .tolerance = 64, .gradient_roundings = 26});
    c.slots.push_back({.name = "sum", .shape = matrix, .role = Role::output, .tolerance = 1});
  }
  if (n.bias) {
    c.slots.push_back({.name = "bias",
                       .shape = {n.columns},
                       .tolerance = over_rows,
                       .weight = true,
                       .gradient_roundings = 0});
  }
  c.forward = [n](Run& r) { forward(n, r); };
  c.backward = [n](Run& r) { backward(n, r); };
  c.reference = [n](Values& v) { reference(n, v); };
  c.perf = perf;
  return c;
}

}  // namespace

std::vector<OpCase> norm_cases() {
  std::vector<OpCase> cases;
  for (const bool residual : {false, true}) {
    for (const bool bias : {false, true}) {
      cases.push_back(make({5, 48, residual, bias}));
      cases.push_back(make({70, 33, residual, bias}));
    }
  }
  cases.push_back(make({1, 768, true, true}));
  cases.push_back(make({300, 130, true, true}));
  cases.push_back(make({256, 768, true, true}, true));
  cases.push_back(make({3072, 384, true, true}, true));
  return cases;
}

}  // namespace weft::cases
