// AdamW against its formula in double, with moments and a copy of the weights in 16-bit types too,
// and where the update is skipped.
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
  return cases;
}

}  // namespace weft::cases
