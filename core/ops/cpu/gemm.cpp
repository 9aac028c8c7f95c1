// The blocked matrix product (Goto and van de Geijn, "Anatomy of High-Performance Matrix
// Multiplication", 2008): a block of b is packed into panels one register block wide, a block of a
// into slivers one register block high, and the register kernel runs over both out of cache.
#include "core/ops/cpu/gemm.h"

#include <algorithm>

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

// out[panel][k][kWidth]: columns [0, columns) of b, zero where the last panel sticks out.
template <typename T>
void pack_b(int64_t depth, int64_t columns, const T* b, int64_t b_row, int64_t b_column, T* out) {
  for (int64_t j = 0; j < columns; j += kWidth<T>) {
    const int64_t width = std::min(kWidth<T>, columns - j);
    for (int64_t k = 0; k < depth; ++k, out += kWidth<T>) {
      const T* row = b + k * b_row + j * b_column;
      for (int64_t i = 0; i < width; ++i) out[i] = row[i * b_column];
      for (int64_t i = width; i < kWidth<T>; ++i) out[i] = T(0);
    }
  }
}

// out[sliver][k][kRows]: rows [0, rows) of a, zero where the last sliver sticks out.
template <typename T>
void pack_a(int64_t rows, int64_t depth, const T* a, int64_t a_row, int64_t a_column, T* out) {
  for (int64_t i = 0; i < rows; i += kRows) {
    const int64_t height = std::min<int64_t>(kRows, rows - i);
    for (int64_t k = 0; k < depth; ++k, out += kRows) {
      const T* column = a + i * a_row + k * a_column;
      for (int64_t r = 0; r < height; ++r) out[r] = column[r * a_row];
      for (int64_t r = height; r < kRows; ++r) out[r] = T(0);
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
                         t.c + (m + i) * t.n + n + j, t.n, t.accumulate || k > 0);
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
