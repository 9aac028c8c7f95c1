// Attention over a cache of keys and values against the plain formula, from the first token on and
// behind others.
#include <cmath>

#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Decode {
  int64_t batch, tokens, past, capacity, heads, kv_heads, dim;

  int64_t kv_width() const { return kv_heads * dim; }
  int64_t width() const { return heads * dim + 2 * kv_width(); }
  AttentionSpec spec() const {
    return {.heads = heads,
            .kv_heads = kv_heads,
            .head_dim = dim,
            .scale = 1 / std::sqrt(static_cast<double>(dim))};
  }
};

// Stores keys and values of the new tokens.
void append(const Decode& d, Values& v) {
  for (int64_t b = 0; b < d.batch; ++b) {
    for (int64_t i = 0; i < d.tokens; ++i) {
      const double* row = v["qkv"].data() + (b * d.tokens + i) * d.width() + d.heads * d.dim;
      const int64_t to = (b * d.capacity + d.past + i) * d.kv_width();
      for (int64_t c = 0; c < d.kv_width(); ++c) {
        v["k_cache"][static_cast<size_t>(to + c)] = row[c];
        v["v_cache"][static_cast<size_t>(to + c)] = row[d.kv_width() + c];
      }
    }
  }
}

void reference_query(const Decode& d, Values& v, int64_t b, int64_t i, int64_t h) {
  const double* query = v["qkv"].data() + (b * d.tokens + i) * d.width() + h * d.dim;
  const int64_t first = b * d.capacity * d.kv_width() + h / (d.heads / d.kv_heads) * d.dim;
  double* out = v["out"].data() + ((b * d.tokens + i) * d.heads + h) * d.dim;
  double total = 0;
  for (int64_t j = 0; j <= d.past + i; ++j) {
    const int64_t at = first + j * d.kv_width();
    double score = 0;
    for (int64_t c = 0; c < d.dim; ++c) {
      score += query[c] * v["k_cache"][static_cast<size_t>(at + c)];
    }
    const double weight = std::exp(score * d.spec().scale);
    total += weight;
    for (int64_t c = 0; c < d.dim; ++c) {
      out[c] += weight * v["v_cache"][static_cast<size_t>(at + c)];
    }
  }
  for (int64_t c = 0; c < d.dim; ++c) out[c] /= total;
}

void reference(const Decode& d, Values& v) {
  append(d, v);
  for (int64_t b = 0; b < d.batch; ++b) {
    for (int64_t i = 0; i < d.tokens; ++i) {
      for (int64_t h = 0; h < d.heads; ++h) reference_query(d, v, b, i, h);
    }
  }
}

// As in training (attention_cases.cpp); what goes into the caches is copied.
OpCase make(const Decode& d) {
  OpCase c;
  c.name = fmt::format("attention_decode/kv{}/B{}x{}+{}xH{}xD{}", d.kv_heads, d.batch, d.past,
                       d.tokens, d.heads, d.dim);
  const Shape cache{d.batch, d.capacity, d.kv_width()};
  c.slots = {
      {.name = "qkv", .shape = {d.batch, d.tokens, d.width()}},
      {.name = "k_cache", .shape = cache, .role = Role::updated, .tolerance = 0, .roundings = 0},
      {.name = "v_cache", .shape = cache, .role = Role::updated, .tolerance = 0, .roundings = 0},
      {.name = "out",
       .shape = {d.batch, d.tokens, d.heads * d.dim},
       .role = Role::output,
       .tolerance = 16 + 2 * std::sqrt(static_cast<double>(d.dim))}};
  c.forward = [d](Run& r) {
    r.ops(op::AttentionDecode{.spec = d.spec(),
                              .qkv = r("qkv"),
                              .past = d.past,
                              .k_cache = r("k_cache"),
                              .v_cache = r("v_cache"),
                              .out = r("out")},
          r.stream);
  };
  c.reference = [d](Values& v) { reference(d, v); };
  return c;
}

}  // namespace

std::vector<OpCase> decode_cases() {
  return {
      make(
          {.batch = 1, .tokens = 1, .past = 0, .capacity = 1, .heads = 1, .kv_heads = 1, .dim = 4}),
      make({.batch = 2,
            .tokens = 9,
            .past = 0,
            .capacity = 12,
            .heads = 4,
            .kv_heads = 4,
            .dim = 16}),
      make({.batch = 2,
            .tokens = 1,
            .past = 70,
            .capacity = 80,
            .heads = 4,
            .kv_heads = 2,
            .dim = 24}),
      make({.batch = 1,
            .tokens = 5,
            .past = 7,
            .capacity = 12,
            .heads = 6,
            .kv_heads = 1,
            .dim = 33})};
}

}  // namespace weft::cases
