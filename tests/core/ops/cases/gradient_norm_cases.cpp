// Sums of squares, the clip factor, and the decision whether there is an update.
#include <algorithm>
#include <cmath>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

// Summed in f64 whatever the type, and the terms are squares of f32 values, hence exact: only the
// additions round. The tolerance is in units of f64.
// x is shared out over `tensors`, a multiple of a block each but the last; the first `skipped`
// elements take no part, so that nothing is aligned.
struct Squares {
  int64_t elements;
  int64_t tensors = 1, skipped = 0;
  bool in_f64 = false;
};

OpCase sum_squares_case(const Squares& q, bool perf = false) {
  OpCase c;
  c.name =
      fmt::format("sum_squares/{}{}{}{}", q.elements,
                  q.tensors == 1 ? "" : fmt::format("/{}_tensors", q.tensors),
                  q.skipped == 0 ? "" : fmt::format("/from_{}", q.skipped), q.in_f64 ? "/f64" : "");
  const int64_t n = q.elements;
  const int64_t blocks = (n + kNormBlock - 1) / kNormBlock;
  c.slots = {{.name = "x",
              .shape = {q.skipped + n},
              .fixed_type = q.in_f64,
              .dtype = q.in_f64 ? DType::f64 : DType::f32},
             {.name = "partials",
              .shape = {blocks},
              .role = Role::output,
              .tolerance = 2 * std::sqrt(static_cast<double>(kNormBlock)),
              .fixed_type = true,
              .dtype = DType::f64,
              .roundings = 0}};
  c.forward = [q, n, blocks](Run& r) {
    std::vector<BlockSquares> tensors;
    for (int64_t i = 0; i < q.tensors; ++i) {
      const int64_t begin = i * blocks / q.tensors, end = (i + 1) * blocks / q.tensors;
      const auto element = [&](int64_t b) { return q.skipped + std::min(b * kNormBlock, n); };
      tensors.push_back({.x = r("x").slice(element(begin), element(end)),
                         .partials = r("partials").slice(begin, end)});
    }
    r.ops(op::SumSquares{.tensors = tensors}, r.stream);
  };
  c.reference = [skipped = static_cast<size_t>(q.skipped)](Values& v) {
    for (size_t i = skipped; i < v["x"].size(); ++i) {
      v["partials"][(i - skipped) / static_cast<size_t>(kNormBlock)] += v["x"][i] * v["x"][i];
    }
  };
  c.f32_only = q.in_f64;
  c.perf = perf;
  return c;
}

Slot counted(const char* name, const Shape& shape, Role role, DType dtype, double low,
             double high) {
  return {.name = name,
          .shape = shape,
          .role = role,
          .low = low,
          .high = high,
          .tolerance = 4,
          .fixed_type = true,
          .dtype = dtype,
          .roundings = 0};
}

// A sum in f64, a root, and two divisions before the factor is rounded.
OpCase clip_case(int64_t blocks, double max_norm, bool scaled) {
  OpCase c;
  c.name = fmt::format("clip_factor/{}/max{}{}", blocks, max_norm, scaled ? "/scaled" : "");
  c.slots = {counted("partials", {blocks}, Role::input, DType::f64, 0, 3),
             counted("loss_scale", {1}, Role::input, DType::f32, 8, 16),
             counted("norm", {1}, Role::output, DType::f64, 0, 0),
             counted("clip", {1}, Role::output, DType::f32, 0, 0)};
  c.forward = [=](Run& r) {
    r.ops(op::ClipFactor{.partials = r("partials"),
                         .max_norm = max_norm,
                         .loss_scale = scaled ? r("loss_scale") : Tensor(),
                         .norm = r("norm"),
                         .clip = r("clip")},
          r.stream);
  };
  c.reference = [=](Values& v) {
    double sum = 0;
    for (const double partial : v["partials"]) sum += partial;
    const double scale = scaled ? v["loss_scale"][0] : 1;
    const double norm = v["norm"][0] = std::sqrt(sum) / scale;
    v["clip"][0] = (max_norm == 0 ? 1 : std::min(1.0, max_norm / (norm + 1e-6))) / scale;
  };
  c.f32_only = true;
  return c;
}

// An infinite norm is one that f32, through which inputs are made, does not hold. Every value is
// exact: counters are whole, and the scale is multiplied by powers of two.
OpCase decide_case(bool finite, int64_t growth_interval) {
  OpCase c;
  c.name = fmt::format("decide_update/{}/growth_after_{}", finite ? "finite" : "infinite",
                       growth_interval);
  const double norm = finite ? 2 : 1e39;
  c.slots = {
      counted("norm", {1}, Role::input, DType::f64, norm, norm),
      counted("counters", {op::DecideUpdate::counter_count}, Role::updated, DType::i64, 1, 6),
      counted("loss_scale", {1}, Role::updated, DType::f32, 64, 128)};
  for (Slot& s : c.slots) s.tolerance = 0;
  c.forward = [=](Run& r) {
    r.ops(op::DecideUpdate{.norm = r("norm"),
                           .counters = r("counters"),
                           .loss_scale = r("loss_scale"),
                           .growth_interval = growth_interval},
          r.stream);
  };
  c.reference = [=](Values& v) {
    using Counter = op::DecideUpdate;
    std::vector<double>& counters = v["counters"];
    counters[finite ? Counter::made : Counter::skipped] += 1;
    counters[Counter::update] = finite ? counters[Counter::made] : 0;
    const double good = finite ? counters[Counter::good] + 1 : 0;
    const bool grows = finite && good >= static_cast<double>(growth_interval);
    counters[Counter::good] = grows ? 0 : good;
    v["loss_scale"][0] *= grows ? 2 : finite ? 1 : 0.5;
  };
  c.f32_only = true;
  return c;
}

}  // namespace

std::vector<OpCase> gradient_norm_cases() {
  return {sum_squares_case({5}),
          sum_squares_case({3 * 4096 + 17}),
          sum_squares_case({101 * 1024 - 700, 100}),
          sum_squares_case({7000, 2, 3}),
          sum_squares_case({.elements = 1300, .in_f64 = true}),
          sum_squares_case({32 << 20}, true),
          clip_case(1, 0, false),
          clip_case(1000, 0, true),
          clip_case(1000, 0.5, true),
          clip_case(33, 0.5, false),
          decide_case(true, 100),
          decide_case(true, 1),
          decide_case(false, 100)};
}

}  // namespace weft::cases
