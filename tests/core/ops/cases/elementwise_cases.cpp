// Elementwise operations and copies.
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
  c.perf = perf;
  return c;
}

// Rounded up where the word's upper half carries over what bf16 leaves out: exactly one of two
// values, so that there is no tolerance. The elements are columns [3, 3 + 10) of rows of 21.
OpCase stochastic_case(int64_t n) {
  OpCase c;
  c.name = fmt::format("copy_stochastic/{}", n);
  c.slots = {{.name = "from", .shape = {n}, .fixed_type = true},
             {.name = "to",
              .shape = {n},
              .role = Role::output,
              .tolerance = 0,
              .fixed_type = true,
              .dtype = DType::bf16,
              .roundings = 0}};
  const RandomKey key{.seed = 4, .stream = 8, .step = 2};
  c.forward = [key](Run& r) {
    r.ops(op::CopyStochastic{.from = r("from"),
                             .to = r("to"),
                             .key = key,
                             .elements = {.first = 3, .columns = 10, .stride = 21}},
          r.stream);
  };
  c.reference = [key](Values& v) {
    for (size_t i = 0; i < v["to"].size(); ++i) {
      const double x = v["from"][i];
      int exponent = 0;
      std::frexp(x, &exponent);
      const double step = std::ldexp(1.0, exponent - 8);  // between two values of bf16
      const double below = std::floor(std::fabs(x) / step) * step;
      const uint32_t word = random_word(key, 3 + i / 10 * 21 + i % 10);
      const double share = (std::fabs(x) - below) / step + (word >> 16) * 0x1p-16;
      v["to"][i] = std::copysign(below + (share >= 1 ? step : 0), x);
    }
  };
  c.f32_only = true;
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
          stochastic_case(1003),
          dropout_case(3072, 384, 0.1, true),
          add_case(kLarge, true),
          add_case(kHuge, true),
          fill_case(kHuge, true),
          copy_case(kHuge, true),
          last_columns_case(3072, 3 * 384, 2 * 384, true)};
}

}  // namespace weft::cases
