// Elementwise operations and the sums of squares.
#include <cmath>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

op::Dropout dropout_arguments(int64_t columns, double p) {
  op::Dropout args;
  args.p = p;
  args.key = {.seed = 77, .stream = 3, .step = 9};
  // The second of several tensor-parallel ranks, of the second of three context-parallel ones.
  args.rows = {.first_sample = 5, .first_row = 3, .tokens = TokenShare::zigzag(12, 1, 3)};
  args.first_column = 3;
  args.global_columns = columns + 10;
  return args;
}

OpCase dropout_case(int64_t rows, int64_t columns, double p, bool perf = false) {
  OpCase c;
  c.name = fmt::format("dropout/p{}/{}x{}", p, rows, columns);
  c.slots = {{.name = "x", .shape = {rows, columns}, .tolerance = 2},
             {.name = "y", .shape = {rows, columns}, .role = Role::output, .tolerance = 2}};
  const op::Dropout args = dropout_arguments(columns, p);
  const auto run = [args](Run& r, const char* from, const char* to) {
    op::Dropout call = args;
    call.x = r(from);
    call.y = r(to);
    r.ops(call, r.stream);
  };
  c.forward = [run](Run& r) { run(r, "x", "y"); };
  c.backward = [run](Run& r) { run(r, "d_y", "d_x"); };
  c.overwritten = {"d_x"};
  c.reference = [args, rows, columns](Values& v) {
    for (int64_t i = 0; i < rows; ++i) {
      // Samples of 12 tokens, of which tokens 2, 3, 8 and 9 are here.
      constexpr int64_t kHere[] = {2, 3, 8, 9};
      const int64_t row = i + 3;
      const int64_t global = (5 + row / 4) * 12 + kHere[row % 4];
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t index = global * args.global_columns + args.first_column + j;
        const bool kept = random_word(args.key, static_cast<uint64_t>(index)) >= args.p * 0x1p32;
        const auto at = static_cast<size_t>(i * columns + j);
        v["y"][at] = kept ? v["x"][at] / (1 - args.p) : 0;
      }
    }
  };
  c.cost.bytes = c.backward_cost.bytes = 8.0 * static_cast<double>(rows * columns);
  c.perf = perf;
  return c;
}

OpCase add_case(int64_t n, bool perf = false) {
  OpCase c;
  c.name = fmt::format("add/{}", n);
  c.slots = {{.name = "a", .shape = {n}},
             {.name = "b", .shape = {n}},
             {.name = "y", .shape = {n}, .role = Role::output, .tolerance = 1}};
  c.forward = [](Run& r) { r.ops(op::Add{.a = r("a"), .b = r("b"), .y = r("y")}, r.stream); };
  c.reference = [](Values& v) {
    for (size_t i = 0; i < v["y"].size(); ++i) v["y"][i] = v["a"][i] + v["b"][i];
  };
  c.cost.bytes = 12.0 * static_cast<double>(n);
  c.perf = perf;
  return c;
}

OpCase fill_case(int64_t n, bool perf = false) {
  OpCase c;
  c.name = fmt::format("fill/{}", n);
  c.slots = {{.name = "x", .shape = {n}, .role = Role::updated, .tolerance = 0, .roundings = 0}};
  c.forward = [](Run& r) { r.ops(op::Fill{.x = r("x"), .value = 0.75}, r.stream); };
  c.reference = [](Values& v) {
    for (double& x : v["x"]) x = 0.75;
  };
  c.cost.bytes = 4.0 * static_cast<double>(n);
  c.perf = perf;
  return c;
}

OpCase copy_case(int64_t n, bool perf = false) {
  OpCase c;
  c.name = fmt::format("copy/{}", n);
  c.slots = {{.name = "from", .shape = {n}},
             {.name = "to", .shape = {n}, .role = Role::output, .tolerance = 0, .roundings = 0}};
  c.forward = [](Run& r) { r.ops(op::Copy{.from = r("from"), .to = r("to")}, r.stream); };
  c.reference = [](Values& v) { v["to"] = v["from"]; };
  c.cost.bytes = 8.0 * static_cast<double>(n);
  c.perf = perf;
  return c;
}

// Packs the last columns of wide rows, and puts them back beside others.
OpCase last_columns_case(int64_t rows, int64_t wide, int64_t narrow, bool perf = false) {
  OpCase c;
  c.name = fmt::format("copy_last_columns/{}x{}of{}", rows, narrow, wide);
  c.slots = {{.name = "from", .shape = {rows, wide}},
             {.name = "packed",
              .shape = {rows, narrow},
              .role = Role::output,
              .tolerance = 0,
              .roundings = 0},
             {.name = "beside",
              .shape = {rows, wide},
              .role = Role::updated,
              .tolerance = 0,
              .roundings = 0}};
  c.forward = [](Run& r) {
    r.ops(op::CopyLastColumns{.from = r("from"), .to = r("packed")}, r.stream);
    r.ops(op::CopyLastColumns{.from = r("packed"), .to = r("beside")}, r.stream);
  };
  c.reference = [=](Values& v) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < narrow; ++j) {
        const auto at = static_cast<size_t>(i * wide + wide - narrow + j);
        v["packed"][static_cast<size_t>(i * narrow + j)] = v["beside"][at] = v["from"][at];
      }
    }
  };
  c.cost.bytes = 16.0 * static_cast<double>(rows * narrow);
  c.perf = perf;
  return c;
}

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
  c.cost.bytes = 4.0 * static_cast<double>(n);
  c.f32_only = q.in_f64;
  c.perf = perf;
  return c;
}

}  // namespace

std::vector<OpCase> elementwise_cases() {
  constexpr int64_t kLarge = 3072 * 384;
  constexpr int64_t kHuge = 32 << 20;
  return {dropout_case(3, 7, 0.5),
          dropout_case(9, 130, 0.1),
          dropout_case(2, 1000, 0.9),
          add_case(1),
          add_case(100003),
          fill_case(100003),
          copy_case(100003),
          last_columns_case(7, 5, 3),
          last_columns_case(1000, 96, 64),
          sum_squares_case({5}),
          sum_squares_case({3 * 4096 + 17}),
          sum_squares_case({101 * 1024 - 700, 100}),
          sum_squares_case({7000, 2, 3}),
          sum_squares_case({.elements = 1300, .in_f64 = true}),
          dropout_case(3072, 384, 0.1, true),
          add_case(kLarge, true),
          add_case(kHuge, true),
          fill_case(kHuge, true),
          copy_case(kHuge, true),
          last_columns_case(3072, 3 * 384, 2 * 384, true),
          sum_squares_case({kHuge}, true)};
}

}  // namespace weft::cases
