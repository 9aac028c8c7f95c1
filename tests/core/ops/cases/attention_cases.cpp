// Causal attention against the plain formula with its T x T matrix, with grouped heads, dropout,
// lengths around the block size, head dims that are not whole vectors, and queries and keys that
// are shared out among ranks.
#include <cmath>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Heads {
  int64_t batch, length, heads, kv_heads, dim;
  double dropout = 0;
  // The tokens whose queries are taken: all, or a context-parallel rank's.
  TokenShare queries = TokenShare::whole(length);
  // Their own keys come first. Then blocks of keys of other tokens, merged one after the other.
  std::vector<TokenShare> visitors{};
  // Whether the own keys are left out, so that the first visitor comes first.
  bool only_visitors = false;

  int64_t own_width() const { return (heads + 2 * kv_heads) * dim; }
  int64_t kv_width() const { return 2 * kv_heads * dim; }
};

std::string visitor(size_t i) { return "kv" + std::to_string(i); }

AttentionSpec arguments(const Heads& a) {
  AttentionSpec args;
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
  args.queries = args.keys = a.queries;
  return args;
}

// Calls visit(args, slot of keys and values) for each block of keys.
template <typename Visit>
void for_each_block(const Heads& a, const Visit& visit) {
  AttentionSpec args = arguments(a);
  if (!a.only_visitors) visit(args, std::string("qkv"));
  for (size_t i = 0; i < a.visitors.size(); ++i) {
    args.keys = a.visitors[i];
    args.merge = i > 0 || !a.only_visitors;
    visit(args, visitor(i));
  }
}

// A key that a query sees: its global token, its unnormalised weight and where its value begins.
struct Seen {
  int64_t token;
  double weight;
  const double* value;
};

std::vector<Seen> seen_keys(const Heads& a, Values& v, int64_t b, int64_t h, int64_t i) {
  const int64_t kv = h / (a.heads / a.kv_heads);
  const double* query = v["qkv"].data() + (b * a.queries.count + i) * a.own_width() + h * a.dim;
  std::vector<Seen> seen;
  for_each_block(a, [&](const AttentionSpec& args, const std::string& slot) {
    const int64_t width = slot == "qkv" ? a.own_width() : a.kv_width();
    for (int64_t j = 0; j < args.keys.count; ++j) {
      if (args.keys.at(j) > a.queries.at(i)) continue;
      const double* row_end = v[slot].data() + (b * args.keys.count + j + 1) * width;
      const double* key = row_end - a.kv_width() + kv * a.dim;
      double score = 0;
      for (int64_t d = 0; d < a.dim; ++d) score += query[d] * key[d];
      seen.push_back({args.keys.at(j), std::exp(score * args.scale), key + a.kv_heads * a.dim});
    }
  });
  return seen;
}

// One query of one head.
void reference_query(const Heads& a, Values& v, int64_t b, int64_t h, int64_t i) {
  const AttentionSpec args = arguments(a);
  const std::vector<Seen> seen = seen_keys(a, v, b, h, i);
  double total = 0;
  for (const Seen& key : seen) total += key.weight;
  v["lse"][static_cast<size_t>((b * a.heads + h) * a.queries.count + i)] = std::log(total);
  double* out = v["out"].data() + ((b * a.queries.count + i) * a.heads + h) * a.dim;
  for (const Seen& key : seen) {
    double weight = key.weight / total;
    if (a.dropout > 0) {
      const int64_t head = (args.first_sample + b) * args.global_heads + args.first_head + h;
      const int64_t index = (head * a.length + a.queries.at(i)) * a.length + key.token;
      const bool kept =
          random_word(args.dropout_key, static_cast<uint64_t>(index)) >= a.dropout * 0x1p32;
      weight = kept ? weight / (1 - a.dropout) : 0;
    }
    for (int64_t d = 0; d < a.dim; ++d) out[d] += weight * key.value[d];
  }
}

void reference(const Heads& a, Values& v) {
  for (int64_t b = 0; b < a.batch; ++b) {
    for (int64_t h = 0; h < a.heads; ++h) {
      for (int64_t i = 0; i < a.queries.count; ++i) reference_query(a, v, b, h, i);
    }
  }
}

std::string name_of(const Heads& a) {
  std::string name = "attention";
  if (a.dropout > 0) name += "/dropout";
  if (a.kv_heads < a.heads) name += fmt::format("/kv{}", a.kv_heads);
  if (!a.visitors.empty()) {
    name += fmt::format("/tokens{}+{}", a.queries.first, a.queries.second);
    name += fmt::format("{}{}blocks", a.only_visitors ? "/" : "/own+", a.visitors.size());
  }
  return name + fmt::format("/B{}xT{}xH{}xD{}", a.batch, a.length, a.heads, a.dim);
}

// A score sums `dim` products and is then divided by sqrt(dim): about sqrt(dim) units, which the
// exponential turns into the same relative error of a probability. Outputs average values up to 1
// with those weights; gradients meet them in a few more products, and those of keys and values sum
// over the later queries, whose terms shrink with their number: sqrt(length) units more.
// Every block of keys rounds the running out and lse once more: one unit each, also of 16-bit
// types. So it does with the gradient of the queries, which is below 2 sqrt(dim) / (1 - p): a
// probability's gradient is a product of `dim` numbers up to 1, and meets keys up to 1 over
// sqrt(dim).
OpCase make(const Heads& a, bool perf = false) {
  OpCase c;
  c.name = name_of(a);
  const double units =
      16 + 2 * std::sqrt(static_cast<double>(a.dim)) + static_cast<double>(a.visitors.size());
  const double gradient_units = 4 * (units + std::sqrt(static_cast<double>(a.length)));
  const auto merges = static_cast<double>(a.visitors.size());
  c.slots = {{.name = "qkv",
              .shape = {a.batch, a.queries.count, a.own_width()},
              .tolerance = gradient_units,
              .gradient_roundings =
                  1 + merges * 2 * std::sqrt(static_cast<double>(a.dim)) / (1 - a.dropout)},
             {.name = "out",
              .shape = {a.batch, a.queries.count, a.heads * a.dim},
              .role = Role::output,
              .tolerance = units,
              .roundings = (1 + merges) / (1 - a.dropout)},
             {.name = "lse",
              .shape = {a.batch, a.heads, a.queries.count},
              .role = Role::output,
              .differentiable = false,
              .tolerance = units,
              .sums = true,
              .roundings = 0}};
  c.overwritten = {"d_qkv"};
  for (size_t i = 0; i < a.visitors.size(); ++i) {
    c.slots.push_back({.name = visitor(i),
                       .shape = {a.batch, a.visitors[i].count, a.kv_width()},
                       .tolerance = gradient_units});
    c.overwritten.push_back("d_" + visitor(i));
  }
  c.forward = [a](Run& r) {
    for_each_block(a, [&](const AttentionSpec& args, const std::string& kv) {
      r.ops(
          op::AttentionForward{
              .spec = args, .qkv = r("qkv"), .kv = r(kv), .out = r("out"), .lse = r("lse")},
          r.stream);
    });
  };
  c.backward = [a](Run& r) {
    // Without own keys nobody sets their columns.
    if (a.only_visitors) r.ops(op::Fill{.x = r("d_qkv"), .value = 0}, r.stream);
    for_each_block(a, [&](const AttentionSpec& args, const std::string& kv) {
      r.ops(op::AttentionBackward{.spec = args,
                                  .dout = r("d_out"),
                                  .qkv = r("qkv"),
                                  .kv = r(kv),
                                  .out = r("out"),
                                  .lse = r("lse"),
                                  .dqkv = r("d_qkv"),
                                  .dkv = r("d_" + kv)},
            r.stream);
    });
  };
  c.reference = [a](Values& v) { reference(a, v); };
  c.perf = perf;
  return c;
}

// What one of `ranks` context-parallel ranks computes: its own keys, then everybody else's in the
// order in which a ring brings them.
Heads ring(Heads a, int64_t rank, int64_t ranks) {
  a.queries = TokenShare::zigzag(a.length, rank, ranks);
  for (int64_t step = 1; step < ranks; ++step) {
    a.visitors.push_back(TokenShare::zigzag(a.length, (rank - step + ranks) % ranks, ranks));
  }
  return a;
}

// Blocks that lie across each other, so that rows of one pair see none, some or all of its keys.
Heads askew(Heads a) {
  a.queries = {.length = a.length, .count = 150, .run = 70, .first = 9, .second = 100};
  a.visitors = {{.length = a.length, .count = 120, .run = 80, .first = 3, .second = 90},
                {.length = a.length, .count = 66, .run = 1, .first = 88, .second = 150}};
  a.only_visitors = true;
  return a;
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
  for (const int64_t rank : {0, 1, 2}) cases.push_back(make(ring({2, 36, 2, 2, 8}, rank, 3)));
  cases.push_back(make(ring({1, 280, 2, 1, 12, 0.2}, 0, 2)));
  cases.push_back(make(ring({1, 280, 2, 1, 12, 0.2}, 1, 2)));
  cases.push_back(make(ring({2, 6, 3, 3, 5}, 1, 3)));
  cases.push_back(make(askew({1, 230, 2, 2, 8})));
  cases.push_back(make(askew({2, 230, 4, 2, 8, 0.3})));
  cases.push_back(make({12, 256, 6, 6, 64}, true));
  cases.push_back(make({12, 256, 6, 6, 64, 0.1}, true));
  cases.push_back(make({4, 64, 12, 12, 64}, true));
  cases.push_back(make({1, 1024, 12, 12, 64}, true));
  for (const int64_t rank : {0, 1}) {
    cases.push_back(make(ring({1, 1024, 12, 12, 64}, rank, 2), true));
  }
  return cases;
}

}  // namespace weft::cases
