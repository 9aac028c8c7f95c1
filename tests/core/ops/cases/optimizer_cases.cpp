// AdamW against its formula in double.
#include <cmath>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

AdamWArgs arguments(int64_t step) {
  AdamWArgs args;
  args.lr = 3e-3;
  args.beta1 = 0.9;
  args.beta2 = 0.95;
  args.eps = 1e-8;
  args.weight_decay = 0.1;
  args.step = step;
  return args;
}

void reference(int64_t step, Values& v) {
  const AdamWArgs a = arguments(step);
  const double c1 = 1 - std::pow(a.beta1, static_cast<double>(step));
  const double c2 = 1 - std::pow(a.beta2, static_cast<double>(step));
  for (size_t i = 0; i < v["weight"].size(); ++i) {
    double& w = v["weight"][i];
    double& m = v["m"][i];
    double& s = v["v"][i];
    const double g = v["grad"][i] * v["grad_scale"][0];
    m = a.beta1 * m + (1 - a.beta1) * g;
    s = a.beta2 * s + (1 - a.beta2) * g * g;
    w -= a.lr * (m / c1) / (std::sqrt(s / c2) + a.eps) + a.lr * a.weight_decay * w;
    v["grad"][i] = 0;
  }
}

OpCase make(int64_t n, int64_t step, bool perf = false) {
  OpCase c;
  c.name = fmt::format("adamw/step{}/{}", step, n);
  c.slots = {{.name = "weight", .shape = {n}, .role = Role::updated, .tolerance = 4},
             {.name = "grad", .shape = {n}, .role = Role::updated, .tolerance = 0},
             {.name = "m", .shape = {n}, .role = Role::updated, .low = -0.3, .high = 0.3},
             {.name = "v", .shape = {n}, .role = Role::updated, .low = 0.01, .high = 0.5},
             {.name = "grad_scale", .shape = {1}, .low = 0.5, .high = 0.6}};
  c.forward = [step](Run& r) {
    AdamWArgs args = arguments(step);
    args.weight = r("weight");
    args.grad = r("grad");
    args.exp_avg = r("m");
    args.exp_avg_sq = r("v");
    args.grad_scale = r("grad_scale");
    r.ops.adamw(args, r.stream);
  };
  c.reference = [step](Values& v) { reference(step, v); };
  c.cost.bytes = 32.0 * static_cast<double>(n);
  c.f32_only = true;
  c.perf = perf;
  return c;
}

}  // namespace

std::vector<OpCase> optimizer_cases() {
  return {make(7, 1), make(100003, 1), make(5000, 1000), make(124439808, 10, true)};
}

}  // namespace weft::cases
