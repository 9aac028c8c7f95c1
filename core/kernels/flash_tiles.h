// Tiles of attention in shared memory and their products by warps (Dao, FlashAttention-2, arXiv
// 2307.08691). A block is kWarps warps; a tile has 16 rows per warp and D columns, the head's
// dimension rounded up with zeros.
#pragma once

#include "core/kernels/warp.h"

namespace weft::kernels::flash {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
constexpr int kRows = 16 * kWarps;  // of a block's own tile
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;
constexpr float kHidden = -std::numeric_limits<float>::infinity();

// Elements from one row of a tile to the next: 16 bytes more than a row, so that the eight rows of
// a matrix lie in different banks.
template <int D>
constexpr int kStride = D + 8;

// Begins to copy rows [first, first + kCount) of `from`, `width` elements apart, into a tile; rows
// from `count` on and columns from `dim` (a multiple of 8) on become zero.
template <int D, int kCount, typename Warp, typename S>
WEFT_DEVICE void load_tile(const Warp& w, S* tile, const S* from, int64_t width, int64_t first,
                           int64_t count, int dim) {
  constexpr int kPieces = D / 8;
  WEFT_UNROLL
  for (int slot = 0; slot < Warp::kSlots; ++slot) {
    WEFT_UNROLL
    for (int i = 0; i < kCount * kPieces / kThreads; ++i) {
      const int piece = i * kThreads + w.thread(slot);
      const int row = piece / kPieces;
      const int column = piece % kPieces * 8;
      const bool valid = first + row < count && column < dim;
      w.copy_async(tile + row * kStride<D> + column,
                   valid ? from + (first + row) * width + column : from, valid);
    }
  }
}

// a = the 16 x 16 elements at (row, column) of a tile, as left operand.
template <int D, typename Warp, typename S>
WEFT_DEVICE void load_left(const Warp& w, const S* tile, int row, int column,
                           uint32_t (&a)[Warp::kSlots][4]) {
  w.load_matrices(a, [=](int lane) {
    const int matrix = lane / 8;
    return tile + (row + matrix % 2 * 8 + lane % 8) * kStride<D> + column + matrix / 2 * 8;
  });
}

// c[n] += a times two pairs of 8 columns: the 16 x 16 elements at (row, column) of a tile, as right
// operand whose columns are the tile's rows (of_rows) or the tile's columns.
template <int D, bool of_rows, typename Warp, typename S, int N>
WEFT_DEVICE void multiply_pair(const Warp& w, const uint32_t (&a)[Warp::kSlots][4], const S* tile,
                               int row, int column, float (&c)[N][Warp::kSlots][4], int n) {
  uint32_t r[Warp::kSlots][4];
  uint32_t first[Warp::kSlots][2], second[Warp::kSlots][2];
  if constexpr (of_rows) {
    w.load_matrices(r, [=](int lane) {
      const int matrix = lane / 8;
      return tile + (row + matrix / 2 * 8 + lane % 8) * kStride<D> + column + matrix % 2 * 8;
    });
  } else {
    w.load_transposed(r, [=](int lane) {
      const int matrix = lane / 8;
      return tile + (row + matrix % 2 * 8 + lane % 8) * kStride<D> + column + matrix / 2 * 8;
    });
  }
  WEFT_UNROLL
  for (int slot = 0; slot < Warp::kSlots; ++slot) {
    first[slot][0] = r[slot][0];
    first[slot][1] = r[slot][1];
    second[slot][0] = r[slot][2];
    second[slot][1] = r[slot][3];
  }
  w.template multiply<S>(c[n], a, first);
  w.template multiply<S>(c[n + 1], a, second);
}

template <int N, int kSlots>
WEFT_DEVICE void clear(float (&c)[N][kSlots][4]) {
  WEFT_UNROLL
  for (int n = 0; n < N; ++n) {
    WEFT_UNROLL
    for (int slot = 0; slot < kSlots; ++slot) {
      WEFT_UNROLL
      for (int i = 0; i < 4; ++i) c[n][slot][i] = 0.0f;
    }
  }
}

// c = rows [row, row + 16) of `left` times rows [0, 8 N) of `right`, transposed: over D.
template <int D, typename Warp, typename S, int N>
WEFT_DEVICE void multiply_rows(const Warp& w, const S* left, int row, const S* right,
                               float (&c)[N][Warp::kSlots][4]) {
  clear(c);
  WEFT_UNROLL
  for (int k = 0; k < D; k += 16) {
    uint32_t a[Warp::kSlots][4];
    load_left<D>(w, left, row, k, a);
    WEFT_UNROLL
    for (int n = 0; n < N; n += 2) multiply_pair<D, true>(w, a, right, 8 * n, k, c, n);
  }
}

// c += p, rounded to S, times rows [0, 8 N) of `right`: over those rows.
template <int D, typename Warp, typename S, int N>
WEFT_DEVICE void multiply_weights(const Warp& w, const float (&p)[N][Warp::kSlots][4],
                                  const S* right, float (&c)[D / 8][Warp::kSlots][4]) {
  WEFT_UNROLL
  for (int k = 0; k < N; k += 2) {
    uint32_t a[Warp::kSlots][4];
    WEFT_UNROLL
    for (int slot = 0; slot < Warp::kSlots; ++slot) {
      a[slot][0] = w.template pack<S>(p[k][slot][0], p[k][slot][1]);
      a[slot][1] = w.template pack<S>(p[k][slot][2], p[k][slot][3]);
      a[slot][2] = w.template pack<S>(p[k + 1][slot][0], p[k + 1][slot][1]);
      a[slot][3] = w.template pack<S>(p[k + 1][slot][2], p[k + 1][slot][3]);
    }
    WEFT_UNROLL
    for (int n = 0; n < D / 8; n += 2) multiply_pair<D, false>(w, a, right, 8 * k, 8 * n, c, n);
  }
}

// Calls f(slot, n, i, row, column) for every element of a warp's product of 16 rows.
template <typename Warp, int N, typename F>
WEFT_DEVICE void for_each_element(const Warp& w, const float (&)[N][Warp::kSlots][4], const F& f) {
  WEFT_UNROLL
  for (int slot = 0; slot < Warp::kSlots; ++slot) {
    const int lane = w.lane(slot);
    WEFT_UNROLL
    for (int n = 0; n < N; ++n) {
      WEFT_UNROLL
      for (int i = 0; i < 4; ++i) {
        f(slot, n, i, lane / 4 + i / 2 * 8, 8 * n + lane % 4 * 2 + i % 2);
      }
    }
  }
}

// Rows [first, first + 16) of `to`, `width` elements apart, = c * factor, or += with `add`; rows
// from `count` on and columns from `dim` on are left out.
template <typename Warp, typename S, int N>
WEFT_DEVICE void store_rows(const Warp& w, const float (&c)[N][Warp::kSlots][4],
                            const float (&factor)[2][Warp::kSlots], bool add, S* to, int64_t width,
                            int64_t first, int64_t count, int dim) {
  WEFT_UNROLL
  for (int slot = 0; slot < Warp::kSlots; ++slot) {
    const int lane = w.lane(slot);
    WEFT_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int64_t row = first + lane / 4 + half * 8;
      if (row >= count) continue;
      WEFT_UNROLL
      for (int n = 0; n < N; ++n) {
        const int column = 8 * n + lane % 4 * 2;
        if (column >= dim) continue;
        S* at = to + row * width + column;
        float low = c[n][slot][2 * half] * factor[half][slot];
        float high = c[n][slot][2 * half + 1] * factor[half][slot];
        if (add) {
          low += load(at[0]);
          high += load(at[1]);
        }
        *reinterpret_cast<uint32_t*>(at) = w.template pack<S>(low, high);
      }
    }
  }
}

}  // namespace weft::kernels::flash
