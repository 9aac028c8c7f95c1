#include "parallel/comm/fold.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/error.h"

namespace weft {
namespace {

constexpr int64_t kTile = 512;  // elements; a few tiles of scratch stay in the first-level cache

template <typename T>
struct Sum {
  static T apply(T a, T b) { return a + b; }
};
template <>
struct Sum<int64_t> {
  static int64_t apply(int64_t a, int64_t b) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  }
};
template <typename T>
struct Max {
  static T apply(T a, T b) { return (a > b || a != a) ? a : b; }
};

// Ranks below the root's right subtree: the largest power of two less than `ranks`.
int left_ranks(int ranks) {
  return static_cast<int>(std::bit_floor(static_cast<unsigned>(ranks - 1)));
}

template <typename T, typename Op>
void fold_pair(const T* a, const T* b, T* out, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) out[i] = Op::apply(a[i], b[i]);
}

template <typename T, typename Op>
void fold_quad(const T* a, const T* b, const T* c, const T* d, T* out, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    out[i] = Op::apply(Op::apply(a[i], b[i]), Op::apply(c[i], d[i]));
  }
}

// Elements [at, at + count) of the sources, count <= kTile; `scratch` has two tiles per level.
template <typename T, typename Op>
void fold_tile(const void* const* sources, int ranks, int64_t at, T* out, int64_t count,
               T* scratch) {
  const auto source = [&](int r) { return static_cast<const T*>(sources[r]) + at; };
  if (ranks == 1) {
    std::copy_n(source(0), count, out);
  } else if (ranks == 2) {
    fold_pair<T, Op>(source(0), source(1), out, count);
  } else if (ranks == 4) {
    fold_quad<T, Op>(source(0), source(1), source(2), source(3), out, count);
  } else {
    // Both halves go to scratch, because out may be one of the sources of either.
    const int left = left_ranks(ranks);
    T* const below = scratch + 2 * kTile;
    fold_tile<T, Op>(sources, left, at, scratch, count, below);
    fold_tile<T, Op>(sources + left, ranks - left, at, scratch + kTile, count, below);
    fold_pair<T, Op>(scratch, scratch + kTile, out, count);
  }
}

template <typename T, typename Op>
void fold_all(const void* const* sources, int ranks, void* out, int64_t count, void* scratch) {
  for (int64_t at = 0; at < count; at += kTile) {
    fold_tile<T, Op>(sources, ranks, at, static_cast<T*>(out) + at, std::min(kTile, count - at),
                     static_cast<T*>(scratch));
  }
}

template <typename T>
void fold_typed(const void* const* sources, int ranks, void* out, int64_t count, ReduceOp op,
                void* scratch) {
  if (op == ReduceOp::sum) {
    fold_all<T, Sum<T>>(sources, ranks, out, count, scratch);
  } else {
    fold_all<T, Max<T>>(sources, ranks, out, count, scratch);
  }
}

}  // namespace

FoldScratch::FoldScratch(int ranks)
    : memory_(static_cast<size_t>(2 * kTile) *
              static_cast<size_t>(std::bit_width(static_cast<unsigned>(ranks)) + 1)) {
  static_assert(sizeof(double) >= sizeof(int64_t) && sizeof(double) >= sizeof(float));
}

void fold(const void* const* sources, int ranks, void* out, int64_t count, DType dtype, ReduceOp op,
          FoldScratch& scratch) {
  switch (dtype) {
    case DType::f32:
      return fold_typed<float>(sources, ranks, out, count, op, scratch.data());
    case DType::f64:
      return fold_typed<double>(sources, ranks, out, count, op, scratch.data());
    case DType::i64:
      return fold_typed<int64_t>(sources, ranks, out, count, op, scratch.data());
    default:
      fail(ErrorKind::internal, "cannot reduce {}; reductions take f32, f64 and i64", name(dtype));
  }
}

}  // namespace weft
