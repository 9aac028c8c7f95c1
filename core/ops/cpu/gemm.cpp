// The blocked matrix product (Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication", 2008): a block of b is packed into panels one register block wide, a block of a
// into slivers one register block high, and the register kernel runs over both out of cache.
#include "core/ops/cpu/gemm.h"

#include <algorithm>
#include <utility>

#include "core/device/cpu/parallel_for.h"
#include "core/ops/cpu/tile.h"

namespace weft::detail {
namespace {

using tile::kRows;
constexpr int64_t kDepth = 256;             // k of one block: fixed, it orders the sums
constexpr int64_t kBlockRows = 16 * kRows;  // rows of a packed block of a
constexpr int64_t kBlockColumns = 1024;     // columns of a packed block of b

template <typename T>
constexpr int64_t kWidth = tile::kVectors* tile::kLanes<T>;

// The elements of two vectors in turn, from their halves that begin at kFirst. Both GCC and clang
// have this builtin, which takes constants alone.
template <int kFirst, typename V, int... kPairs>
inline __attribute__((always_inline)) V interleave(const V& x, const V& y,
                                                   std::integer_sequence<int, kPairs...>) {
  constexpr int kSize = sizeof...(kPairs);
  return __builtin_shufflevector(x, y, (kFirst + kPairs / 2 + kPairs % 2 * kSize)...);
}

// x holds kLanes rows of kLanes elements and becomes its transpose: log2(kLanes) perfect shuffles.
template <typename T>
inline __attribute__((always_inline)) void transpose(tile::Vector<T>* x) {
  constexpr int kSize = static_cast<int>(tile::kLanes<T>);
  constexpr std::make_integer_sequence<int, kSize> kElements;
#pragma GCC unroll 4
  for (int stage = 1; stage < kSize; stage *= 2) {
    tile::Vector<T> y[kSize];
#pragma GCC unroll 8
    for (int i = 0; i < kSize / 2; ++i) {
      y[2 * i] = interleave<0>(x[i], x[i + kSize / 2], kElements);
      y[2 * i + 1] = interleave<kSize / 2>(x[i], x[i + kSize / 2], kElements);
    }
#pragma GCC unroll 16
    for (int i = 0; i < kSize; ++i) x[i] = y[i];
  }
}

// out[k][kWidth] for a whole panel of a transposed b, whose columns are `stride` apart.
template <typename T>
void pack_transposed_panel(int64_t depth, const T* b, int64_t stride, T* out) {
  constexpr int64_t kSize = tile::kLanes<T>;
  using V = tile::Vector<T>;
  const int64_t whole = depth / kSize * kSize;
  for (int64_t k = 0; k < whole; k += kSize) {
    for (int64_t j = 0; j < kWidth<T>; j += kSize) {
      V x[kSize];
#pragma GCC unroll 16
      for (int64_t i = 0; i < kSize; ++i) {
        x[i] = *reinterpret_cast<const V*>(b + (j + i) * stride + k);
      }
      transpose<T>(x);
#pragma GCC unroll 16
      for (int64_t i = 0; i < kSize; ++i) {
        *reinterpret_cast<V*>(out + (k + i) * kWidth<T> + j) = x[i];
      }
    }
  }
  for (int64_t k = whole; k < depth; ++k) {
    for (int64_t j = 0; j < kWidth<T>; ++j) out[k * kWidth<T> + j] = b[j * stride + k];
  }
}

// out[panel][k][kWidth]: columns [0, columns) of b, zero where the last panel sticks out.
template <typename T>
void pack_b(int64_t depth, int64_t columns, const T* b, int64_t b_row, int64_t b_column, T* out) {
  for (int64_t j = 0; j < columns; j += kWidth<T>, out += depth * kWidth<T>) {
    const int64_t width = std::min(kWidth<T>, columns - j);
    const T* from = b + j * b_column;
    if (width == kWidth<T> && b_column == 1) {
      for (int64_t k = 0; k < depth; ++k)
        std::copy_n(from + k * b_row, kWidth<T>, out + k * kWidth<T>);
    } else if (width == kWidth<T> && b_row == 1) {
      pack_transposed_panel(depth, from, b_column, out);
    } else {
      for (int64_t k = 0; k < depth; ++k) {
        T* row = out + k * kWidth<T>;
        for (int64_t i = 0; i < width; ++i) row[i] = from[k * b_row + i * b_column];
        for (int64_t i = width; i < kWidth<T>; ++i) row[i] = T(0);
      }
    }
  }
}

// out[sliver][k][kRows]: rows [0, rows) of a, zero where the last sliver sticks out.
template <typename T>
void pack_a(int64_t rows, int64_t depth, const T* a, int64_t a_row, int64_t a_column, T* out) {
  for (int64_t i = 0; i < rows; i += kRows, out += depth * kRows) {
    const int64_t height = std::min<int64_t>(kRows, rows - i);
    const T* from = a + i * a_row;
    if (height == kRows && a_row == 1) {
      for (int64_t k = 0; k < depth; ++k) {
        for (int r = 0; r < kRows; ++r) out[k * kRows + r] = from[k * a_column + r];
      }
    } else if (height == kRows && a_column == 1) {
      for (int64_t k = 0; k < depth; ++k) {
        for (int r = 0; r < kRows; ++r) out[k * kRows + r] = from[r * a_row + k];
      }
    } else {
      for (int64_t k = 0; k < depth; ++k) {
        T* column = out + k * kRows;
        for (int64_t r = 0; r < height; ++r) column[r] = from[r * a_row + k * a_column];
        for (int64_t r = height; r < kRows; ++r) column[r] = T(0);
      }
    }
  }
}

// One register block of c: straight into c where it fits, through a padded copy at the edges.
template <typename T>
void update_block(int64_t rows, int64_t columns, int64_t depth, const T* a, const T* b, T* c,
                  int64_t ldc, bool accumulate) {
  const tile::Matrix<const T> sliver{a, 1, kRows};
  if (rows == kRows && columns == kWidth<T>) {
    tile::register_block<kRows, tile::kVectors>(depth, sliver, b, kWidth<T>, c, ldc, accumulate);
    return;
  }
  T copy[kRows * kWidth<T>] = {};
  for (int64_t i = 0; accumulate && i < rows; ++i) {
    std::copy_n(c + i * ldc, columns, copy + i * kWidth<T>);
  }
  tile::register_block<kRows, tile::kVectors>(depth, sliver, b, kWidth<T>, copy, kWidth<T>,
                                              accumulate);
  for (int64_t i = 0; i < rows; ++i) std::copy_n(copy + i * kWidth<T>, columns, c + i * ldc);
}

// The part [m0, m1) x [n0, n1) of c by one thread.
template <typename T>
void multiply_part(const GemmTask<T>& t, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                   T* packed) {
  T* packed_b = packed + kBlockRows * kDepth;
  for (int64_t n = n0; n < n1; n += kBlockColumns) {
    const int64_t columns = std::min(kBlockColumns, n1 - n);
    for (int64_t k = 0; k < t.k; k += kDepth) {
      const int64_t depth = std::min(kDepth, t.k - k);
      pack_b(depth, columns, t.b + k * t.b_row + n * t.b_column, t.b_row, t.b_column, packed_b);
      for (int64_t m = m0; m < m1; m += kBlockRows) {
        const int64_t rows = std::min(kBlockRows, m1 - m);
        pack_a(rows, depth, t.a + m * t.a_row + k * t.a_column, t.a_row, t.a_column, packed);
        for (int64_t j = 0; j < columns; j += kWidth<T>) {
          for (int64_t i = 0; i < rows; i += kRows) {
            update_block(std::min<int64_t>(kRows, rows - i), std::min(kWidth<T>, columns - j),
                         depth, packed + i * depth, packed_b + j * depth,
                         t.c + (m + i) * t.c_row + n + j, t.c_row, t.accumulate || k > 0);
          }
        }
      }
    }
  }
}

}  // namespace

template <typename T>
void gemm(const GemmTask<T>& t, int threads, Scratch& scratch) {
  const int64_t per_thread = kBlockRows * kDepth + kBlockColumns * kDepth;
  T* packed = scratch.get<T>(per_thread * threads);
  // Threads cut the longer side of c.
  const bool by_rows = t.m >= t.n;
  parallel_for(threads, by_rows ? t.m : t.n, by_rows ? kRows : kWidth<T>,
               [&](int64_t begin, int64_t end) {
                 T* mine = packed + omp_get_thread_num() * per_thread;
                 if (by_rows) {
                   multiply_part(t, begin, end, 0, t.n, mine);
                 } else {
                   multiply_part(t, 0, t.m, begin, end, mine);
                 }
               });
}

template void gemm(const GemmTask<float>&, int, Scratch&);
template void gemm(const GemmTask<double>&, int, Scratch&);

}  // namespace weft::detail
