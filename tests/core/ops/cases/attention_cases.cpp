// Causal attention against the plain formula with its T x T matrix, with grouped heads, dropout,
// lengths around the block size and head dims that are not whole vectors.
#include <cmath>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Heads {
  int64_t batch, length, heads, kv_heads, dim;
  double dropout = 0;
};

AttentionArgs arguments(const Heads& a) {
  AttentionArgs args;
  args.heads = a.heads;
  args.kv_heads = a.kv_heads;
  args.head_dim = a.dim;
  args.scale = 1 / std::sqrt(static_cast<double>(a.dim));
  args.dropout = a.dropout;
  args.dropout_key = {.seed = 5, .stream = 17, .step = 2};
  args.first_sample = 3;
  // Heads of the second of several ranks: the dropout mask counts global heads.
  args.first_head = 2;
  args.global_heads = a.heads + 5;
  return args;
}

// One query of one head.
void reference_query(const Heads& a, Values& v, int64_t b, int64_t h, int64_t i) {
  const AttentionArgs args = arguments(a);
  const int64_t width = (a.heads + 2 * a.kv_heads) * a.dim;
  const int64_t kv = h / (a.heads / a.kv_heads);
  const std::vector<double>& qkv = v["qkv"];
  const auto element = [&](int64_t row, int64_t column) {
    return qkv[static_cast<size_t>((b * a.length + row) * width + column)];
  };
  std::vector<double> p(static_cast<size_t>(i + 1));
  double total = 0;
  for (int64_t j = 0; j <= i; ++j) {
    double score = 0;
    for (int64_t d = 0; d < a.dim; ++d) {
      score += element(i, h * a.dim + d) * element(j, (a.heads + kv) * a.dim + d);
    }
    total += p[static_cast<size_t>(j)] = std::exp(score * args.scale);
  }
  v["lse"][static_cast<size_t>((b * a.heads + h) * a.length + i)] = std::log(total);
  double* out = v["out"].data() + ((b * a.length + i) * a.heads + h) * a.dim;
  for (int64_t j = 0; j <= i; ++j) {
    double weight = p[static_cast<size_t>(j)] / total;
    if (a.dropout > 0) {
      const int64_t sample = args.first_sample + b;
      const auto index = static_cast<uint64_t>(
          ((sample * args.global_heads + args.first_head + h) * a.length + i) * a.length + j);
      const bool kept = random_word(args.dropout_key, index) >= a.dropout * 0x1p32;
      weight = kept ? weight / (1 - a.dropout) : 0;
    }
    for (int64_t d = 0; d < a.dim; ++d) {
      out[d] += weight * element(j, (a.heads + a.kv_heads + kv) * a.dim + d);
    }
  }
}

void reference(const Heads& a, Values& v) {
  for (int64_t b = 0; b < a.batch; ++b) {
    for (int64_t h = 0; h < a.heads; ++h) {
      for (int64_t i = 0; i < a.length; ++i) reference_query(a, v, b, h, i);
    }
  }
}

// A score sums `dim` products and is then divided by sqrt(dim): about sqrt(dim) units, which the
// exponential turns into the same relative error of a probability. Outputs average values up to 1
// with those weights; gradients meet them in a few more products, and those of keys and values sum
// over the later queries, whose terms shrink with their number: sqrt(length) units more.
OpCase make(const Heads& a, bool perf = false) {
  OpCase c;
  c.name = fmt::format("attention{}{}/B{}xT{}xH{}xD{}", a.dropout > 0 ? "/dropout" : "",
                       a.kv_heads < a.heads ? fmt::format("/kv{}", a.kv_heads) : "", a.batch,
                       a.length, a.heads, a.dim);
  const double units = 16 + 2 * std::sqrt(static_cast<double>(a.dim));
  c.slots = {{.name = "qkv",
              .shape = {a.batch, a.length, (a.heads + 2 * a.kv_heads) * a.dim},
              .tolerance = 4 * (units + std::sqrt(static_cast<double>(a.length)))},
             {.name = "out",
              .shape = {a.batch, a.length, a.heads * a.dim},
              .role = Role::output,
              .tolerance = units},
             {.name = "lse",
              .shape = {a.batch, a.heads, a.length},
              .role = Role::output,
              .differentiable = false,
              .tolerance = units}};
  c.forward = [a](Run& r) {
    r.ops.attention_forward(arguments(a), r("qkv"), r("out"), r("lse"), r.stream);
  };
  c.backward = [a](Run& r) {
    r.ops.attention_backward(arguments(a), r("d_out"), r("qkv"), r("out"), r("lse"), r("d_qkv"),
                             r.stream);
  };
  c.overwritten = {"d_qkv"};
  c.reference = [a](Values& v) { reference(a, v); };
  // Two products forward, five backward, over the visible half of the T x T pairs.
  const double pairs =
      static_cast<double>(a.batch * a.heads * a.length) * static_cast<double>(a.length + 1) / 2;
  c.cost.flops = 2 * 2 * pairs * static_cast<double>(a.dim);
  c.backward_cost.flops = 5 * 2 * pairs * static_cast<double>(a.dim);
  c.perf = perf;
  return c;
}

}  // namespace

std::vector<OpCase> attention_cases() {
  std::vector<OpCase> cases;
  for (const int64_t length : {1, 2, 7, 63, 64, 65, 129, 257}) {
    cases.push_back(make({1, length, 2, 2, 16}));
  }
  for (const int64_t dim : {4, 20, 24, 64, 80, 100, 128}) {
    cases.push_back(make({2, 35, 2, 2, dim}));
  }
  cases.push_back(make({2, 70, 6, 2, 24}));
  cases.push_back(make({2, 30, 4, 1, 16}));
  cases.push_back(make({2, 67, 2, 2, 16, 0.3}));
  cases.push_back(make({1, 70, 4, 2, 12, 0.1}));
  cases.push_back(make({12, 256, 6, 6, 64}, true));
  cases.push_back(make({12, 256, 6, 6, 64, 0.1}, true));
  cases.push_back(make({4, 64, 12, 12, 64}, true));
  cases.push_back(make({1, 1024, 12, 12, 64}, true));
  return cases;
}

}  // namespace weft::cases
