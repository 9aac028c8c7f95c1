// TokenShare: which tokens of its sequences a rank holds. RowMap: which rows of the whole batch its
// rows are. Positions, the causal mask and every random mask are functions of these global numbers,
// so that no result depends on how tokens are shared out.
#pragma once

#include <cstdint>

namespace weft {

// Local tokens [0, count) of each sample are two runs of its global tokens: [0, run) begin at
// `first`, [run, count) at `second`, which lies behind the first run. One run when run == count.
struct TokenShare {
  int64_t length = 1;  // of a whole sequence
  int64_t count = 1;
  int64_t run = 1;
  int64_t first = 0;
  int64_t second = 1;

  // The global token that local token i is.
  constexpr int64_t at(int64_t i) const { return i < run ? first + i : second + (i - run); }
  constexpr int64_t last() const { return at(count - 1); }
  bool operator==(const TokenShare&) const = default;

  // Every token of sequences of this length.
  static TokenShare whole(int64_t length) { return {length, length, length, 0, length}; }

  // The share of one of `ranks` context-parallel ranks: a sequence is cut into 2 * ranks chunks,
  // and rank r holds chunks r and 2 * ranks - 1 - r. Under the causal mask every rank then has the
  // same number of visible pairs with every other. 2 * ranks must divide length unless ranks is 1.
  static TokenShare zigzag(int64_t length, int64_t rank, int64_t ranks) {
    if (ranks == 1) return whole(length);
    const int64_t chunk = length / (2 * ranks);
    return {length, 2 * chunk, chunk, rank * chunk, (2 * ranks - 1 - rank) * chunk};
  }
};

// Rows are (sample, token) with the tokens of a sample side by side. A rank's rows begin at
// `first_row` among those of its samples' tokens.
struct RowMap {
  int64_t first_sample = 0;  // global number of the sample that row 0 of all belongs to
  int64_t first_row = 0;
  TokenShare tokens;

  // The global number of local row r, with the tokens of a whole sequence side by side.
  constexpr int64_t at(int64_t r) const {
    const int64_t row = first_row + r;
    return (first_sample + row / tokens.count) * tokens.length + tokens.at(row % tokens.count);
  }
};

}  // namespace weft
