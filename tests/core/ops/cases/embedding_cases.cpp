// Embeddings, whole and cut over a vocabulary shard.
#include "tests/core/ops/op_case.h"

namespace weft::cases {
namespace {

struct Lookup {
  int64_t batch, length, vocabulary, columns;
  int64_t rows, vocab_begin;  // the shard of the table
  bool positions;
  int64_t position_begin;
  int64_t gap = 0;  // positions left out in the middle, as where ranks share a sequence

  TokenShare places() const {
    TokenShare map{.length = length, .count = length, .run = length, .first = position_begin};
    if (gap > 0) map.run = length / 3;
    map.second = map.first + map.run + gap;
    return map;
  }
};

Tensor positions_or_none(const Lookup& e, Run& r, const char* name) {
  return e.positions ? r(name) : Tensor();
}

void reference(const Lookup& e, Values& v) {
  for (int64_t i = 0; i < e.batch * e.length; ++i) {
    const auto row = static_cast<int64_t>(v["tokens"][static_cast<size_t>(i)]) - e.vocab_begin;
    for (int64_t c = 0; c < e.columns; ++c) {
      double y = 0;
      if (row >= 0 && row < e.rows) y = v["table"][static_cast<size_t>(row * e.columns + c)];
      if (e.positions) {
        const int64_t place = e.places().at(i % e.length);
        y += v["positions"][static_cast<size_t>(place * e.columns + c)];
      }
      v["y"][static_cast<size_t>(i * e.columns + c)] = y;
    }
  }
}

// Forward adds once; a table row's gradient sums as many terms as its token occurs.
OpCase make(const Lookup& e, bool perf = false) {
  OpCase c;
  c.name = fmt::format("embedding{}/{}x{}/{}of{}x{}", e.positions ? "/positions" : "", e.batch,
                       e.length, e.rows, e.vocabulary, e.columns);
  c.slots = {
      {.name = "tokens",
       .shape = {e.batch, e.length},
       .low = 0,
       .high = static_cast<double>(e.vocabulary),
       .differentiable = false,
       .fixed_type = true,
       .dtype = DType::i32},
      {.name = "table",
       .shape = {e.rows, e.columns},
       .tolerance = 32,
       .weight = true,
       .gradient_roundings = 0},
      {.name = "y", .shape = {e.batch, e.length, e.columns}, .role = Role::output, .tolerance = 1}};
  if (e.positions) {
    c.slots.push_back({.name = "positions",
                       .shape = {e.position_begin + e.length + e.gap + 1, e.columns},
                       .tolerance = 2.0 * static_cast<double>(e.batch) + 4,
                       .weight = true,
                       .gradient_roundings = 0});
  }
  c.forward = [e](Run& r) {
    r.ops(op::EmbeddingForward{.tokens = r("tokens"),
                               .table = r("table"),
                               .vocab_begin = e.vocab_begin,
                               .positions = positions_or_none(e, r, "positions"),
                               .places = e.places(),
                               .y = r("y")},
          r.stream);
  };
  c.backward = [e](Run& r) {
    r.ops(op::EmbeddingBackward{.tokens = r("tokens"),
                                .dy = r("d_y"),
                                .vocab_begin = e.vocab_begin,
                                .dtable = r("d_table"),
                                .dpositions = positions_or_none(e, r, "d_positions"),
                                .places = e.places()},
          r.stream);
  };
  c.reference = [e](Values& v) { reference(e, v); };
  c.perf = perf;
  return c;
}

}  // namespace

std::vector<OpCase> embedding_cases() {
  return {make({2, 9, 11, 16, 11, 0, true, 0}),
          make({3, 10, 11, 16, 11, 0, true, 2, 5}),
          make({3, 7, 30, 33, 30, 0, false, 0}),
          make({2, 12, 20, 5, 8, 6, true, 3}),
          make({4, 33, 6, 64, 6, 0, true, 1}),
          make({4, 64, 50257, 768, 50257, 0, true, 0}, true),
          make({12, 256, 65, 384, 65, 0, true, 0}, true)};
}

}  // namespace weft::cases
