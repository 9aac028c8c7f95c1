// Blocks of queries and keys: the causal mask between two of them, and moving them between the rows
// of a tensor and the padded rows that tile.h computes on. Only for files that are compiled as
// tile.h wants it.
#pragma once

#include "core/kernels/dropout.h"
#include "core/kernels/storage.h"
#include "core/ops/cpu/attention_layout.h"
#include "core/ops/cpu/tile.h"

namespace weft::attention {

constexpr int64_t kBlock = 64;  // queries and keys of a block; whole vectors in every type

// Blocks of at most kBlock tokens; none reaches from one run of a share into the other.
struct Block {
  int64_t local;  // first token of the rank's
  int64_t rows;
  int64_t global;  // first token of the sequence's
  int64_t last() const { return global + rows - 1; }
};

inline int64_t blocks_of_run(int64_t tokens) { return (tokens + kBlock - 1) / kBlock; }
inline int64_t blocks_of(const TokenShare& m) {
  return blocks_of_run(m.run) + blocks_of_run(m.count - m.run);
}
inline Block block_of(const TokenShare& m, int64_t index) {
  const int64_t of_first = blocks_of_run(m.run);
  if (index < of_first) {
    const int64_t begin = index * kBlock;
    return {begin, std::min(kBlock, m.run - begin), m.first + begin};
  }
  const int64_t begin = (index - of_first) * kBlock;
  return {m.run + begin, std::min(kBlock, m.count - m.run - begin), m.second + begin};
}

// What the causal mask leaves of a pair of blocks.
inline bool hidden(const Block& queries, const Block& keys) { return keys.global > queries.last(); }
inline bool on_diagonal(const Block& queries, const Block& keys) {
  return keys.global == queries.global;
}
inline int64_t visible_keys(const Block& queries, int64_t row, const Block& keys) {
  return std::clamp<int64_t>(queries.global + row + 1 - keys.global, 0, keys.rows);
}

// Key blocks [0, n) are seen by some query, query blocks [n, all) see some key.
template <typename T>
inline int64_t seen_key_blocks(const AttentionLayout<T>& l) {
  int64_t n = blocks_of(l.keys);
  while (n > 0 && block_of(l.keys, n - 1).global > l.queries.last()) --n;
  return n;
}
template <typename T>
inline int64_t first_seeing_block(const AttentionLayout<T>& l) {
  int64_t n = 0;
  while (n < blocks_of(l.queries) && block_of(l.queries, n).last() < l.keys.first) ++n;
  return n;
}

// Multiplies row probabilities (or their gradients) of global query i, keys [j, j + n), by mask /
// (1 - p).
template <typename T>
void drop(const AttentionLayout<T>& l, int64_t b, int64_t h, int64_t i, int64_t j, int64_t n,
          const T* from, T* to) {
  kernels::dropout_run<kernels::HostTeam, T>(kernels::HostTeam(), l.key, l.mask_at(b, h, i, j), n,
                                             kernels::dropout_threshold(l.dropout),
                                             static_cast<T>(1.0 / (1.0 - l.dropout)), from, to);
}

// to[r][0, padded_dim) = from[r][0, dim) * factor, rows `stride` apart, padding zero.
template <typename S, typename T>
void pack_rows(int64_t rows, int64_t dim, int64_t padded_dim, const S* from, int64_t stride,
               T factor, T* to) {
  for (int64_t r = 0; r < rows; ++r, from += stride, to += padded_dim) {
    kernels::HostTeam().for_each(
        dim, [=](int64_t d) WEFT_LANE { to[d] = kernels::load(from[d]) * factor; });
    for (int64_t d = dim; d < padded_dim; ++d) to[d] = T(0);
  }
}

// to[d][kBlock] = from[r][0, dim), rows `stride` apart: a block transposed, missing rows zero.
template <typename S, typename T>
void pack_transposed(int64_t rows, int64_t dim, const S* from, int64_t stride, T* to) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t d = 0; d < dim; ++d) to[d * kBlock + r] = kernels::load(from[r * stride + d]);
  }
  for (int64_t r = rows; r < kBlock; ++r) {
    for (int64_t d = 0; d < dim; ++d) to[d * kBlock + r] = T(0);
  }
}

// rows [0, rows) of to, `stride` apart, = from[r][0, dim) * factor.
template <typename S, typename T>
void unpack_rows(int64_t rows, int64_t dim, int64_t padded_dim, const T* from, T factor, S* to,
                 int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, from += padded_dim, to += stride) {
    kernels::HostTeam().for_each(
        dim, [=](int64_t d) WEFT_LANE { to[d] = kernels::store<S>(from[d] * factor); });
  }
}

// The same, added to what is there.
template <typename S, typename T>
void add_rows(int64_t rows, int64_t dim, int64_t padded_dim, const T* from, T factor, S* to,
              int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, from += padded_dim, to += stride) {
    kernels::HostTeam().for_each(dim, [=](int64_t d) WEFT_LANE {
      to[d] = kernels::store<S>(kernels::load(to[d]) + from[d] * factor);
    });
  }
}

// Hands out pieces of one thread's scratch.
template <typename T>
class Pieces {
 public:
  explicit Pieces(T* begin) : next_(begin) {}
  T* take(int64_t count) {
    T* piece = next_;
    next_ += tile::padded<T>(count);
    return piece;
  }

 private:
  T* next_;
};

}  // namespace weft::attention
