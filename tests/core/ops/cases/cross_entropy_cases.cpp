// Cross-entropy: statistics, loss and gradient as one case, with ignored rows, padding columns and
// vocabulary shards.
#include <cmath>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Loss {
  int64_t rows, columns, valid;
  int64_t vocab_begin = 0;
  int64_t ignored = 0;  // targets are drawn from [-ignored, vocab_begin + valid + ignored)
};

void reference(const Loss& l, Values& v) {
  for (int64_t r = 0; r < l.rows; ++r) {
    const auto row = static_cast<size_t>(r);
    const double* x = v["logits"].data() + r * l.columns;
    double top = -INFINITY, sum = 0;
    for (int64_t c = 0; c < l.valid; ++c) top = std::max(top, x[c]);
    for (int64_t c = 0; c < l.valid; ++c) sum += std::exp(x[c] - top);
    const auto target = static_cast<int64_t>(v["targets"][row]);
    const int64_t column = target - l.vocab_begin;
    const bool here = target >= 0 && column >= 0 && column < l.valid;
    v["row_max"][row] = top;
    v["row_sum"][row] = sum;
    v["target_logit"][row] = here ? x[column] : 0;
    if (target >= 0) v["loss"][0] += std::log(sum) + top - v["target_logit"][row];
  }
}

void backward(const Loss& l, Run& r) {
  const double weight = r.get("d_loss")[0];
  r.ops(op::Copy{.from = r("logits"), .to = r("d_logits")}, r.stream);
  r.ops(op::CrossEntropyBackward{.logits = r("d_logits"),
                                 .targets = r("targets"),
                                 .vocab_begin = l.vocab_begin,
                                 .valid = l.valid,
                                 .row_max = r("row_max"),
                                 .row_sum = r("row_sum"),
                                 .scale = weight},
        r.stream);
}

// A row's sum adds up to `valid` terms of at most 1, lane by lane: a relative error of a few units
// for the exponentials and sqrt(valid / lanes) for the running sums. The loss, in f64, inherits the
// rows' errors; its partial sums are exact beside them.
OpCase make(const Loss& l, bool perf = false) {
  OpCase c;
  c.name = fmt::format("cross_entropy/{}x{}/valid{}{}{}", l.rows, l.columns, l.valid,
                       l.vocab_begin > 0 ? fmt::format("/from{}", l.vocab_begin) : "",
                       l.ignored > 0 ? "/ignored" : "");
  const double units = 8 + std::sqrt(static_cast<double>(l.valid) / 4);
  const Slot row{.name = "",
                 .shape = {l.rows},
                 .role = Role::output,
                 .differentiable = false,
                 .tolerance = 0,
                 .sums = true,
                 .roundings = 0};
  Slot top = row, sum = row, hit = row;
  top.name = "row_max";
  sum.name = "row_sum";
  sum.tolerance = units;
  hit.name = "target_logit";
  c.slots = {
      {.name = "logits", .shape = {l.rows, l.columns}, .low = -6, .high = 6, .tolerance = units},
      {.name = "targets",
       .shape = {l.rows},
       .low = -static_cast<double>(l.ignored),
       .high = static_cast<double>(l.vocab_begin + l.valid + (l.vocab_begin > 0 ? 5 : 0)),
       .differentiable = false,
       .fixed_type = true,
       .dtype = DType::i32},
      top,
      sum,
      hit,
      {.name = "loss",
       .shape = {1},
       .role = Role::updated,
       .tolerance = units * static_cast<double>(l.rows),
       .fixed_type = true,
       .dtype = DType::f64,
       .roundings = 0}};
  c.forward = [l](Run& r) {
    r.ops(op::SoftmaxStats{.logits = r("logits"),
                           .targets = r("targets"),
                           .vocab_begin = l.vocab_begin,
                           .valid = l.valid,
                           .row_max = r("row_max"),
                           .row_sum = r("row_sum"),
                           .target_logit = r("target_logit")},
          r.stream);
    r.ops(op::CrossEntropyLoss{.targets = r("targets"),
                               .row_max = r("row_max"),
                               .row_sum = r("row_sum"),
                               .target_logit = r("target_logit"),
                               .loss_sum = r("loss")},
          r.stream);
  };
  c.backward = [l](Run& r) { backward(l, r); };
  c.overwritten = {"d_logits"};
  c.reference = [l](Values& v) { reference(l, v); };
  c.perf = perf;
  return c;
}

// One exponential and one product: a few units.
OpCase make_rescale(int64_t rows) {
  OpCase c;
  c.name = fmt::format("rescale_sums/{}", rows);
  c.slots = {
      {.name = "sum",
       .shape = {rows},
       .role = Role::updated,
       .low = 1,
       .high = 9,
       .differentiable = false,
       .tolerance = 8,
       .sums = true,
       .roundings = 0},
      {.name = "from",
       .shape = {rows},
       .low = -4,
       .high = 0,
       .differentiable = false,
       .sums = true},
      {.name = "to", .shape = {rows}, .low = 0, .high = 3, .differentiable = false, .sums = true}};
  c.forward = [](Run& r) {
    r.ops(op::RescaleSums{.sum = r("sum"), .from = r("from"), .to = r("to")}, r.stream);
  };
  c.reference = [](Values& v) {
    for (size_t i = 0; i < v["sum"].size(); ++i) v["sum"][i] *= std::exp(v["from"][i] - v["to"][i]);
  };
  return c;
}

}  // namespace

std::vector<OpCase> cross_entropy_cases() {
  return {make_rescale(13),
          make({.rows = 5, .columns = 11, .valid = 11}),
          make({.rows = 9, .columns = 40, .valid = 33, .ignored = 20}),
          make({.rows = 8, .columns = 24, .valid = 17, .vocab_begin = 12, .ignored = 8}),
          make({.rows = 3, .columns = 5000, .valid = 4999}),
          make({.rows = 2, .columns = 50304, .valid = 50257, .ignored = 0}),
          make({.rows = 256, .columns = 50304, .valid = 50257}, true),
          make({.rows = 3072, .columns = 65, .valid = 65}, true)};
}

}  // namespace weft::cases
