// What optimizers are made of, against the formulas in double, with moments and a copy of the
// weights in 16-bit types too, and where the update is skipped.
#include <algorithm>
#include <cmath>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Update {
  int64_t elements, step;  // step 0: skipped
  DType moment = DType::f32;
  DType copy = DType::f32;  // f32: none
  int64_t tensors = 1;      // that the elements are shared out over
};

constexpr double kWeightDecay = 0.1;

op::AdamW arguments() {
  op::AdamW args;
  args.lr = 3e-3;
  args.beta1 = 0.9;
  args.beta2 = 0.95;
  args.eps = 1e-8;
  return args;
}

void reference(int64_t step, Values& v) {
  if (step == 0) {
    std::fill(v["grad"].begin(), v["grad"].end(), 0.0);
    return;
  }
  const op::AdamW a = arguments();
  const double c1 = 1 - std::pow(a.beta1, static_cast<double>(step));
  const double c2 = 1 - std::pow(a.beta2, static_cast<double>(step));
  for (size_t i = 0; i < v["weight"].size(); ++i) {
    double& w = v["weight"][i];
    double& m = v["m"][i];
    double& s = v["v"][i];
    const double g = v["grad"][i] * v["grad_scale"][0];
    m = a.beta1 * m + (1 - a.beta1) * g;
    s = a.beta2 * s + (1 - a.beta2) * g * g;
    w -= a.lr * (m / c1) / (std::sqrt(s / c2) + a.eps) + a.lr * kWeightDecay * w;
    v["grad"][i] = 0;
    if (v.contains("copy")) v["copy"][i] = w;
  }
}

// Stored in a 16-bit type, a moment or a copy is rounded once; the weight sees nothing of it.
OpCase make(const Update& u, bool perf = false) {
  OpCase c;
  c.name =
      fmt::format("adamw/step{}{}{}{}/{}", u.step, u.moment == DType::f32 ? "" : "/bf16_moments",
                  u.copy == DType::f32 ? "" : fmt::format("/{}_copy", name(u.copy)),
                  u.tensors == 1 ? "" : fmt::format("/{}_tensors", u.tensors), u.elements);
  const Shape shape{u.elements};
  const auto moment = [&](const char* name, double low, double high) {
    return Slot{.name = name,
                .shape = shape,
                .role = Role::updated,
                .low = low,
                .high = high,
                .fixed_type = true,
                .dtype = u.moment};
  };
  const auto step = static_cast<double>(u.step);
  c.slots = {{.name = "weight", .shape = shape, .role = Role::updated, .tolerance = 4},
             {.name = "grad", .shape = shape, .role = Role::updated, .tolerance = 0},
             moment("m", -0.3, 0.3),
             moment("v", 0.01, 0.5),
             {.name = "grad_scale", .shape = {1}, .low = 0.5, .high = 0.6},
             {.name = "update",
              .shape = {1},
              .low = step,
              .high = step,
              .fixed_type = true,
              .dtype = DType::i64}};
  const bool copied = u.copy != DType::f32 && u.step > 0;
  if (copied) {
    c.slots.push_back({.name = "copy",
                       .shape = shape,
                       .role = Role::output,
                       .fixed_type = true,
                       .dtype = u.copy});
  }
  c.forward = [copied, count = u.tensors, n = u.elements](Run& r) {
    op::AdamW args = arguments();
    args.grad_scale = r("grad_scale");
    args.update = r("update");
    std::vector<AdamWTensor> tensors;
    for (int64_t i = 0; i < count; ++i) {
      const auto part = [&](const char* name) {
        return r(name).slice(i * n / count, (i + 1) * n / count);
      };
      tensors.push_back({.weight = part("weight"),
                         .grad = part("grad"),
                         .exp_avg = part("m"),
                         .exp_avg_sq = part("v"),
                         .rounded = copied ? part("copy") : Tensor(),
                         .weight_decay = kWeightDecay,
                         .rounding = {}});
    }
    args.tensors = tensors;
    r.ops(args, r.stream);
  };
  c.reference = [step = u.step](Values& v) { reference(step, v); };
  c.f32_only = true;
  c.perf = perf;
  return c;
}

Slot update_number(int64_t step) {
  const auto number = static_cast<double>(step);
  return {.name = "update",
          .shape = {1},
          .low = number,
          .high = number,
          .fixed_type = true,
          .dtype = DType::i64};
}

// Two products and two sums, of numbers below 1.
OpCase momentum_case(int64_t n, int64_t step, bool nesterov, DType type = DType::f32,
                     int64_t count = 1) {
  OpCase c;
  c.name = fmt::format("momentum/step{}{}{}{}/{}", step, nesterov ? "/nesterov" : "",
                       type == DType::f32 ? "" : "/bf16",
                       count == 1 ? "" : fmt::format("/{}_tensors", count), n);
  c.slots = {{.name = "grad", .shape = {n}, .role = Role::updated},
             {.name = "m",
              .shape = {n},
              .role = Role::updated,
              .low = -0.3,
              .high = 0.3,
              .fixed_type = true,
              .dtype = type},
             {.name = "grad_scale", .shape = {1}, .low = 0.5, .high = 0.6},
             update_number(step)};
  op::Momentum args;
  args.decay = 0.9;
  args.take = 0.25;
  args.nesterov = nesterov;
  c.forward = [args, n, count](Run& r) {
    op::Momentum with = args;
    with.grad_scale = r("grad_scale");
    with.update = r("update");
    std::vector<MomentumTensor> tensors;
    for (int64_t i = 0; i < count; ++i) {
      const auto part = [&](const char* name) {
        return r(name).slice(i * n / count, (i + 1) * n / count);
      };
      tensors.push_back({.grad = part("grad"), .momentum = part("m"), .rounding = {}});
    }
    with.tensors = tensors;
    r.ops(with, r.stream);
  };
  c.reference = [args, step](Values& v) {
    for (size_t i = 0; i < v["grad"].size(); ++i) {
      const double g = args.take * v["grad"][i] * v["grad_scale"][0];
      if (step > 0) v["m"][i] = args.decay * v["m"][i] + g;
      const double direction = args.nesterov ? g + args.decay * v["m"][i] : v["m"][i];
      v["grad"][i] = step == 0 ? 0 : direction;
    }
  };
  c.f32_only = true;
  return c;
}

OpCase descend_case(int64_t n, int64_t step, DType direction, DType copy = DType::f32,
                    int64_t count = 1) {
  OpCase c;
  c.name = fmt::format("descend/step{}/{}{}{}/{}", step, name(direction),
                       copy == DType::f32 ? "" : fmt::format("/{}_copy", name(copy)),
                       count == 1 ? "" : fmt::format("/{}_tensors", count), n);
  c.slots = {{.name = "weight", .shape = {n}, .role = Role::updated},
             {.name = "grad", .shape = {n}, .role = Role::updated, .tolerance = 0},
             {.name = "direction", .shape = {n}, .fixed_type = true, .dtype = direction},
             update_number(step)};
  const bool copied = copy != DType::f32 && step > 0;
  if (copied) {
    c.slots.push_back(
        {.name = "copy", .shape = {n}, .role = Role::output, .fixed_type = true, .dtype = copy});
  }
  constexpr double kRate = 0.02, kScale = 0.4;
  c.forward = [=](Run& r) {
    std::vector<DescentTensor> tensors;
    for (int64_t i = 0; i < count; ++i) {
      const auto part = [&](const char* name) {
        return r(name).slice(i * n / count, (i + 1) * n / count);
      };
      tensors.push_back({.weight = part("weight"),
                         .grad = part("grad"),
                         .direction = part("direction"),
                         .rounded = copied ? part("copy") : Tensor(),
                         .scale = kScale,
                         .weight_decay = kWeightDecay,
                         .rounding = {}});
    }
    r.ops(op::Descend{.tensors = tensors, .update = r("update"), .lr = kRate}, r.stream);
  };
  c.reference = [step, copied](Values& v) {
    for (size_t i = 0; i < v["weight"].size(); ++i) {
      v["grad"][i] = 0;
      if (step == 0) continue;
      double& w = v["weight"][i];
      w = (1 - kRate * kWeightDecay) * w - kRate * kScale * v["direction"][i];
      if (copied) v["copy"][i] = w;
    }
  };
  c.f32_only = true;
  return c;
}

// The sum is of f64, the factor rounded once, and the product.
OpCase normalize_case(int64_t n, int64_t partials, double eps, DType type = DType::f32) {
  OpCase c;
  c.name = fmt::format("normalize/{}{}{}", type == DType::f32 ? "" : fmt::format("{}/", name(type)),
                       eps > 1 ? "eps/" : "", n);
  c.slots = {{.name = "x", .shape = {n}},
             {.name = "partials",
              .shape = {partials},
              .low = 0.5,
              .high = 2,
              .fixed_type = true,
              .dtype = DType::f64},
             {.name = "y",
              .shape = {n},
              .role = Role::output,
              .tolerance = 2,
              .fixed_type = true,
              .dtype = type}};
  c.forward = [eps](Run& r) {
    r.ops(op::Normalize{.x = r("x"), .partials = r("partials"), .y = r("y"), .eps = eps}, r.stream);
  };
  c.reference = [eps](Values& v) {
    double sum = 0;
    for (const double p : v["partials"]) sum += p;
    for (size_t i = 0; i < v["x"].size(); ++i) {
      v["y"][i] = v["x"][i] / std::max(std::sqrt(sum), eps);
    }
  };
  c.f32_only = true;
  return c;
}

// Of numbers up to 8 in size: three terms, of which each is rounded.
OpCase polynomial_case(int64_t n, bool perf = false) {
  OpCase c;
  c.name = fmt::format("polynomial/{}", n);
  c.slots = {{.name = "x", .shape = {n, n}},
             {.name = "square", .shape = {n, n}, .sums = true},
             {.name = "y", .shape = {n, n}, .role = Role::output, .tolerance = 16, .roundings = 1}};
  constexpr double kA = 3.4445, kB = -4.775, kC = 2.0315;
  c.forward = [](Run& r) {
    r.ops(
        op::Polynomial{.x = r("x"), .square = r("square"), .y = r("y"), .a = kA, .b = kB, .c = kC},
        r.stream);
  };
  c.reference = [n](Values& v) {
    for (int64_t i = 0; i < n * n; ++i) {
      const auto at = static_cast<size_t>(i);
      v["y"][at] = (i / n == i % n ? kA : 0) + kB * v["x"][at] + kC * v["square"][at];
    }
  };
  c.perf = perf;
  return c;
}

void add_momentum_cases(std::vector<OpCase>& cases) {
  for (const bool nesterov : {false, true}) {
    cases.push_back(momentum_case(5003, 1, nesterov));
    cases.push_back(momentum_case(5003, 3, nesterov, DType::bf16, 101));
  }
  cases.push_back(momentum_case(100003, 0, true));
  for (const DType direction : {DType::f32, DType::bf16, DType::f16}) {
    for (const DType copy : {DType::f32, DType::bf16, DType::f16}) {
      cases.push_back(descend_case(5003, 3, direction, copy));
    }
  }
  cases.push_back(descend_case(100003, 3, DType::bf16, DType::bf16, 101));
  cases.push_back(descend_case(5003, 0, DType::f32, DType::f32, 35));
}

void add_orthogonal_cases(std::vector<OpCase>& cases) {
  for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
    cases.push_back(normalize_case(100003, 98, 1e-7, type));
  }
  cases.push_back(normalize_case(7, 1, 5));
  for (const int64_t n : {1, 7, 130}) cases.push_back(polynomial_case(n));
  cases.push_back(polynomial_case(2048, true));
}

}  // namespace

std::vector<OpCase> optimizer_cases() {
  std::vector<OpCase> cases{make({7, 1}), make({100003, 1}), make({5000, 1000}), make({5000, 0})};
  for (const DType moment : {DType::f32, DType::bf16}) {
    for (const DType copy : {DType::f32, DType::bf16, DType::f16}) {
      if (moment != copy) cases.push_back(make({5003, 3, moment, copy}));
    }
  }
  cases.push_back(make({5003, 3, DType::bf16, DType::bf16}));
  // More tensors than a launch on a GPU takes, at any alignment, some larger than a block's share.
  cases.push_back(make({5003, 3, DType::f32, DType::bf16, 101}));
  cases.push_back(make({100003, 3, DType::bf16, DType::f16, 7}));
  cases.push_back(make({5003, 0, DType::f32, DType::f32, 35}));
  cases.push_back(make({124439808, 10}, true));
  add_momentum_cases(cases);
  add_orthogonal_cases(cases);
  return cases;
}

}  // namespace weft::cases
