// Small matrix products on tiles that lie in the first- and second-level cache: the inner loops of
// attention and of the general matrix product.
//
// c[i, j] (+)= sum over k of a(i, k) b[k, j]. Rows of b and c are contiguous and padded to whole
// vectors; a may have any strides, because its elements are broadcast one by one. A register block
// of kRows x kVectors accumulators is computed at a time; every element is one running sum over k,
// so how the work is cut never changes a result.
//
// A file that includes this is compiled with -ffp-contract=fast: vector types have no fma of their
// own.
#pragma once

#include <algorithm>
#include <cstdint>

namespace weft::tile {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
inline constexpr int kRows = 6;  // 24 accumulators, 4 of b, 1 of a: 29 of 32 registers
inline constexpr int kVectors = 4;
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32;
inline constexpr int kRows = 6;  // 12 accumulators, 2 of b, 1 of a: 15 of 16 registers
inline constexpr int kVectors = 2;
#else
inline constexpr int kVectorBytes = 16;
inline constexpr int kRows = 6;
inline constexpr int kVectors = 2;
#endif

template <typename T>
struct Simd;
template <>
struct Simd<float> {
  typedef float Vector __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
};
template <>
struct Simd<double> {
  typedef double Vector __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
};
template <typename T>
using Vector = typename Simd<T>::Vector;
template <typename T>
inline constexpr int64_t kLanes = kVectorBytes / static_cast<int>(sizeof(T));

// n rounded up to whole vectors of T.
template <typename T>
constexpr int64_t padded(int64_t n) {
  return (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

template <typename T>
struct Matrix {
  T* data;
  int64_t row;         // elements from one row to the next
  int64_t column = 1;  // and from one column to the next
  T* at(int64_t i, int64_t j) const { return data + i * row + j * column; }
};

// One register block: Rows x (Vectors * lanes) of c over k in [0, depth).
template <int Rows, int Vectors, typename T>
inline __attribute__((always_inline)) void register_block(int64_t depth, Matrix<const T> a,
                                                          const T* b, int64_t ldb, T* c,
                                                          int64_t ldc, bool accumulate) {
  using V = Vector<T>;
  constexpr int64_t kWidth = kLanes<T>;
  V sum[Rows][Vectors];
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) {
      sum[i][j] = accumulate ? *reinterpret_cast<const V*>(c + i * ldc + j * kWidth) : V{};
    }
  }
#pragma GCC unroll 4
  for (int64_t k = 0; k < depth; ++k) {
    V row[Vectors];
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) row[j] = *reinterpret_cast<const V*>(b + j * kWidth);
#pragma GCC unroll 8
    for (int i = 0; i < Rows; ++i) {
      const T value = a.data[i * a.row];
#pragma GCC unroll 8
      for (int j = 0; j < Vectors; ++j) sum[i][j] += value * row[j];
    }
    a.data += a.column;
    b += ldb;
  }
#pragma GCC unroll 8
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int j = 0; j < Vectors; ++j) *reinterpret_cast<V*>(c + i * ldc + j * kWidth) = sum[i][j];
  }
}

template <int Vectors, typename T>
inline void register_rows(int64_t rows, int64_t depth, Matrix<const T> a, const T* b, int64_t ldb,
                          T* c, int64_t ldc, bool accumulate) {
  switch (rows) {
    case 1:
      return register_block<1, Vectors>(depth, a, b, ldb, c, ldc, accumulate);
    case 2:
      return register_block<2, Vectors>(depth, a, b, ldb, c, ldc, accumulate);
    case 3:
      return register_block<3, Vectors>(depth, a, b, ldb, c, ldc, accumulate);
    case 4:
      return register_block<4, Vectors>(depth, a, b, ldb, c, ldc, accumulate);
    case 5:
      return register_block<5, Vectors>(depth, a, b, ldb, c, ldc, accumulate);
    default:
      return register_block<6, Vectors>(depth, a, b, ldb, c, ldc, accumulate);
  }
}

// As register_rows, `vectors` in [1, kVectors] wide.
template <typename T>
void register_panel(int64_t vectors, int64_t rows, int64_t depth, Matrix<const T> a, const T* b,
                    int64_t ldb, T* c, int64_t ldc, bool accumulate) {
  if (vectors >= kVectors) {
    register_rows<kVectors>(rows, depth, a, b, ldb, c, ldc, accumulate);
  } else if (kVectors > 2 && vectors == 3) {
    register_rows<3>(rows, depth, a, b, ldb, c, ldc, accumulate);
  } else if (kVectors > 2 && vectors == 2) {
    register_rows<2>(rows, depth, a, b, ldb, c, ldc, accumulate);
  } else {
    register_rows<1>(rows, depth, a, b, ldb, c, ldc, accumulate);
  }
}

// Which part of a product on the causal diagonal is needed, rows of a being queries (or, for
// `below`, keys). What is not needed is left out as far as whole register blocks allow.
enum class Part {
  all,
  columns_to_row,  // columns j <= i: scores of queries i against keys j
  depth_to_row,    // k <= i: probabilities of query i times values k; the rest of a is zero
  depth_from_row,  // k >= i: key i from queries k; the rest of a is zero
};

// c[0, rows) x [0, columns) (+)= a b over k in [0, depth). columns counts whole vectors.
template <Part kPart = Part::all, typename T>
void multiply(int64_t rows, int64_t columns, int64_t depth, Matrix<const T> a, Matrix<const T> b,
              Matrix<T> c, bool accumulate) {
  constexpr int64_t kWidth = kVectors * kLanes<T>;
  for (int64_t j = 0; j < columns; j += kWidth) {
    const int64_t vectors = std::min<int64_t>(kVectors, (columns - j) / kLanes<T>);
    for (int64_t i = 0; i < rows; i += kRows) {
      const int64_t count = std::min<int64_t>(kRows, rows - i);
      if (kPart == Part::columns_to_row && j >= i + count) continue;
      const int64_t first = kPart == Part::depth_from_row ? std::min(i, depth) : 0;
      const int64_t last = kPart == Part::depth_to_row ? std::min(i + count, depth) : depth;
      register_panel<T>(vectors, count, last - first, {a.at(i, first), a.row, a.column},
                        b.at(first, j), b.row, c.at(i, j), c.row, accumulate);
    }
  }
}

}  // namespace weft::tile
