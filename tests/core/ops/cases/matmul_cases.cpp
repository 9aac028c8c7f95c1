// Matrix products: every transpose with every epilogue, and the products of two models' layers.
#include <cmath>
#include <numbers>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Product {
  int64_t m, k, n;
  bool ta = false, tb = false;
  bool accumulate = false, bias = false, keep_pre = false;
  Activation activation = Activation::none;
  Activation gradient = Activation::none;
  bool input_is_c = false;
  int64_t a_spare = 0, c_spare = 0;  // columns in memory beyond those of the product

  int64_t a_width() const { return (ta ? m : k) + a_spare; }
  int64_t c_width() const { return n + c_spare; }
};

const char* name_of(Activation a) {
  switch (a) {
    case Activation::none:
      return "none";
    case Activation::relu:
      return "relu";
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::gelu:
      return "gelu";
  }
  return "?";
}

double activate(Activation a, double x) {
  switch (a) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::gelu_tanh:
      return 0.5 * x *
             (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
  }
  return 0;
}

double slope(Activation a, double x) {
  switch (a) {
    case Activation::none:
      return 1;
    case Activation::relu:
      return x > 0 ? 1 : 0;
    case Activation::gelu_tanh: {
      const double c = std::sqrt(2 / std::numbers::pi);
      const double t = std::tanh(c * (x + 0.044715 * x * x * x));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * c * (1 + 3 * 0.044715 * x * x);
    }
    case Activation::gelu:
      return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)) +
             x * std::exp(-0.5 * x * x) / std::sqrt(2 * std::numbers::pi);
  }
  return 0;
}

std::string name_of(const Product& p) {
  std::string name = "matmul/";
  name += p.ta ? 'T' : 'N';
  name += p.tb ? 'T' : 'N';
  if (p.accumulate) name += "/accumulate";
  if (p.bias) name += "/bias";
  if (p.activation != Activation::none) name += std::string("/") + name_of(p.activation);
  if (p.keep_pre) name += "/keep_pre";
  if (p.gradient != Activation::none) name += std::string("/gradient_") + name_of(p.gradient);
  if (p.input_is_c) name += "/input_is_c";
  if (p.a_spare > 0) name += "/wide_a";
  if (p.c_spare > 0) name += "/wide_c";
  return fmt::format("{}/{}x{}x{}", name, p.m, p.k, p.n);
}

op::Matmul arguments(const Product& p, Run& r) {
  op::Matmul args;
  args.a = r("a");
  args.b = r("b");
  args.c = r("c");
  args.transpose_a = p.ta;
  args.transpose_b = p.tb;
  args.accumulate = p.accumulate;
  if (p.bias) args.bias = r("bias");
  args.activation = p.activation;
  if (p.keep_pre) args.pre_activation = r("pre");
  args.activation_gradient = p.gradient;
  if (p.gradient != Activation::none) args.activation_input = p.input_is_c ? r("c") : r("input");
  return args;
}

void reference(const Product& p, Values& v) {
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      double sum = 0;
      for (int64_t k = 0; k < p.k; ++k) {
        sum += v["a"][static_cast<size_t>(p.ta ? k * p.a_width() + i : i * p.a_width() + k)] *
               v["b"][static_cast<size_t>(p.tb ? j * p.k + k : k * p.n + j)];
      }
      const auto at = static_cast<size_t>(i * p.c_width() + j);
      double& c = v["c"][at];
      if (p.accumulate) {
        c += sum;
        continue;
      }
      if (p.bias) sum += v["bias"][static_cast<size_t>(j)];
      if (p.keep_pre) v["pre"][at] = sum;
      sum = activate(p.activation, sum);
      if (p.gradient != Activation::none)
        sum *= slope(p.gradient, p.input_is_c ? c : v["input"][at]);
      c = sum;
    }
  }
}

// d_c times the slope of the epilogue, made by the op itself: d_c I with the slope as epilogue.
Tensor before_epilogue(const Product& p, Run& r) {
  const Activation act = p.activation != Activation::none ? p.activation : p.gradient;
  if (act == Activation::none) return r("d_c");
  const Tensor dv = r.temporary("dv", {p.m, p.n});
  const Tensor identity = r.temporary("identity", {p.n, p.n});
  std::vector<double> one(static_cast<size_t>(p.n * p.n));
  for (int64_t i = 0; i < p.n; ++i) one[static_cast<size_t>(i * p.n + i)] = 1;
  r.set("identity", one);
  op::Matmul args;
  args.a = r("d_c");
  args.b = identity;
  args.c = dv;
  args.activation_gradient = act;
  args.activation_input = p.activation != Activation::none ? r("pre") : r("input");
  r.ops(args, r.stream);
  return dv;
}

// The gradient of the bias comes with that of the weight where the weight is [out, in]; here beside
// a product that nobody asks for.
op::Matmul bias_gradient_alone(const Product& p, Run& r, const Tensor& dv) {
  r.add("aside", {p.n, p.k}, accumulator(r.dtype()));
  op::Matmul args;
  args.a = dv;
  args.b = r("a");
  args.c = r("aside");
  args.transpose_a = true;
  args.transpose_b = p.ta;
  args.bias_gradient = r("d_bias");
  return args;
}

void backward(const Product& p, Run& r) {
  const Tensor dv = before_epilogue(p, r);
  op::Matmul da;
  da.c = r("d_a");
  da.accumulate = true;
  da.a = p.ta ? r("b") : dv;
  da.b = p.ta ? dv : r("b");
  da.transpose_a = p.ta && p.tb;
  da.transpose_b = p.ta || !p.tb;
  r.ops(da, r.stream);
  op::Matmul db;
  db.c = r("d_b");
  db.accumulate = true;
  db.a = p.tb ? dv : r("a");
  db.b = p.tb ? r("a") : dv;
  db.transpose_a = p.tb || !p.ta;
  db.transpose_b = p.tb && p.ta;
  if (p.bias && p.tb) db.bias_gradient = r("d_bias");
  r.ops(db, r.stream);
  if (p.bias && !p.tb) r.ops(bias_gradient_alone(p, r, dv), r.stream);
}

// A sum of n products of numbers up to 1 is off by about n rounding units: its partial sums grow
// like sqrt(n) and their roundings add up like another sqrt(n). The epilogue adds a few.
//
// In 16-bit types what is stored is rounded once. Where there is an epilogue, backward here also
// stores the gradient before it, up to 1.2 (the largest slope), and then sums n or m of those times
// numbers up to 1.
OpCase make(const Product& p, bool perf = false) {
  OpCase c;
  c.name = name_of(p);
  const auto units = [](int64_t n) { return static_cast<double>(n) + 8; };
  const bool slopes = p.activation != Activation::none || p.gradient != Activation::none;
  const auto roundings = [&](int64_t n) { return slopes ? 1.2 * static_cast<double>(n) : 0; };
  c.slots = {{.name = "a",
              .shape = {p.ta ? p.k : p.m, p.a_width()},
              .tolerance = units(p.n) + 16,
              .gradient_roundings = 1 + roundings(p.n)},
             {.name = "b",
              .shape = p.tb ? Shape{p.n, p.k} : Shape{p.k, p.n},
              .tolerance = units(p.m) + 16,
              .weight = true,
              .gradient_roundings = roundings(p.m)},
             {.name = "c",
              .shape = {p.m, p.c_width()},
              .role = p.accumulate || p.input_is_c || p.c_spare > 0 ? Role::updated : Role::output,
              .tolerance = units(p.k)}};
  if (p.bias) {
    c.slots.push_back({.name = "bias",
                       .shape = {p.n},
                       .tolerance = units(p.m) + 16,
                       .weight = true,
                       .gradient_roundings = roundings(p.m)});
  }
  if (p.keep_pre) {
    c.slots.push_back({.name = "pre",
                       .shape = {p.m, p.n},
                       .role = Role::output,
                       .differentiable = false,
                       .tolerance = units(p.k)});
  }
  if (p.gradient != Activation::none && !p.input_is_c) {
    c.slots.push_back(
        {.name = "input", .shape = {p.m, p.n}, .low = -3, .high = 3, .differentiable = false});
  }
  c.forward = [p](Run& r) { r.ops(arguments(p, r), r.stream); };
  c.reference = [p](Values& v) { reference(p, v); };
  // Backward multiplies by transposes: what is wide must not come to stand second there.
  const bool wide_second = (p.a_spare > 0 && p.tb) || (p.c_spare > 0 && (p.ta || !p.tb));
  const bool differentiable =
      (p.activation == Activation::none || p.keep_pre) && !p.input_is_c && !wide_second;
  if (differentiable && !perf) c.backward = [p](Run& r) { backward(p, r); };
  c.perf = perf;
  c.ordered = false;  // the BLAS may sum in another order on another number of threads
  return c;
}

}  // namespace

std::vector<OpCase> matmul_cases() {
  using enum Activation;
  std::vector<OpCase> cases;
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      cases.push_back(make({.m = 37, .k = 19, .n = 45, .ta = ta, .tb = tb}));
      cases.push_back(make({.m = 9, .k = 70, .n = 33, .ta = ta, .tb = tb, .accumulate = true}));
      cases.push_back(make({.m = 13, .k = 8, .n = 21, .ta = ta, .tb = tb, .bias = true}));
      cases.push_back(make({.m = 13, .k = 8, .n = 21, .ta = ta, .tb = tb, .a_spare = 3}));
      cases.push_back(make({.m = 13, .k = 8, .n = 21, .ta = ta, .tb = tb, .c_spare = 11}));
      for (const Activation act : {relu, gelu_tanh, gelu}) {
        Product p{.m = 7, .k = 12, .n = 18, .ta = ta, .tb = tb};
        p.activation = act;
        cases.push_back(make(p));
        p.bias = p.keep_pre = true;
        cases.push_back(make(p));
        Product g{.m = 7, .k = 12, .n = 18, .ta = ta, .tb = tb};
        g.gradient = act;
        cases.push_back(make(g));
        g.input_is_c = true;
        cases.push_back(make(g));
      }
    }
  }
  cases.push_back(make({.m = 1, .k = 1, .n = 1}));
  cases.push_back(make({.m = 1, .k = 300, .n = 5, .bias = true}));
  cases.push_back(make({.m = 515, .k = 33, .n = 65, .tb = true, .bias = true}));
  cases.push_back(make({.m = 200, .k = 600, .n = 100, .ta = true, .accumulate = true}));
  {  // more rows than one block of products kept aside
    Product p{.m = 1100, .k = 7, .n = 600};
    p.gradient = gelu;
    p.input_is_c = true;
    cases.push_back(make(p));
  }
  struct Model {
    int64_t tokens, width, vocabulary;
  };
  for (const Model m : {Model{256, 768, 50257}, Model{3072, 384, 65}}) {
    const int64_t t = m.tokens, c = m.width;
    for (const int64_t out : {3 * c, c}) {
      cases.push_back(make({.m = t, .k = c, .n = out, .tb = true, .bias = true}, true));
    }
    Product up{.m = t, .k = c, .n = 4 * c, .tb = true};
    up.bias = up.keep_pre = true;
    up.activation = gelu_tanh;
    cases.push_back(make(up, true));
    cases.push_back(make({.m = t, .k = 4 * c, .n = c, .tb = true, .bias = true}, true));
    Product down{.m = t, .k = c, .n = 4 * c};
    down.gradient = gelu_tanh;
    cases.push_back(make(down, true));
    for (const int64_t in : {c, 3 * c, 4 * c}) {
      cases.push_back(make({.m = t, .k = in, .n = c}, true));
      cases.push_back(make({.m = in, .k = t, .n = c, .ta = true, .accumulate = true}, true));
    }
    cases.push_back(make({.m = c, .k = t, .n = 4 * c, .ta = true, .accumulate = true}, true));
    const int64_t v = m.vocabulary;
    cases.push_back(make({.m = t, .k = c, .n = v, .tb = true}, true));
    cases.push_back(make({.m = t, .k = v, .n = c}, true));
    cases.push_back(make({.m = v, .k = t, .n = c, .ta = true, .accumulate = true}, true));
  }
  return cases;
}

}  // namespace weft::cases
