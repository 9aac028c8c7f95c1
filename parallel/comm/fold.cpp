#include "parallel/comm/fold.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "core/base/error.h"
#include "core/kernels/storage.h"

namespace weft {
namespace {

using kernels::load;
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

template <typename Op, typename S, typename T>
void fold_pair(const S* a, const S* b, T* out, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) out[i] = Op::apply(load(a[i]), load(b[i]));
}

template <typename Op, typename S, typename T>
void fold_quad(const S* a, const S* b, const S* c, const S* d, T* out, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    out[i] = Op::apply(Op::apply(load(a[i]), load(b[i])), Op::apply(load(c[i]), load(d[i])));
  }
}

// Elements [at, at + count) of the sources, which are of S, count <= kTile; `scratch` has two tiles
// per level.
template <typename S, typename T, typename Op>
void fold_tile(const void* const* sources, int ranks, int64_t at, T* out, int64_t count,
               T* scratch) {
  const auto source = [&](int r) { return static_cast<const S*>(sources[r]) + at; };
  if (ranks == 1) {
    const S* from = source(0);
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) out[i] = load(from[i]);
  } else if (ranks == 2) {
    fold_pair<Op>(source(0), source(1), out, count);
  } else if (ranks == 4) {
    fold_quad<Op>(source(0), source(1), source(2), source(3), out, count);
  } else {
    // Both halves go to scratch, because out may be one of the sources of either.
    const int left = left_ranks(ranks);
    T* const below = scratch + 2 * kTile;
    fold_tile<S, T, Op>(sources, left, at, scratch, count, below);
    fold_tile<S, T, Op>(sources + left, ranks - left, at, scratch + kTile, count, below);
    fold_pair<Op>(scratch, scratch + kTile, out, count);
  }
}

// S is added in its arithmetic type T and rounded once at the end.
template <typename S, template <typename> typename Op>
void fold_all(const void* const* sources, int ranks, void* out, int64_t count, void* scratch) {
  using T = kernels::Arithmetic<S>;
  T* const space = static_cast<T*>(scratch);
  for (int64_t at = 0; at < count; at += kTile) {
    S* const to = static_cast<S*>(out) + at;
    const int64_t n = std::min(kTile, count - at);
    if constexpr (std::is_same_v<S, T>) {
      fold_tile<S, T, Op<T>>(sources, ranks, at, to, n, space);
    } else {
      fold_tile<S, T, Op<T>>(sources, ranks, at, space, n, space + kTile);
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) to[i] = kernels::store<S>(space[i]);
    }
  }
}

template <typename S>
void fold_typed(const void* const* sources, int ranks, void* out, int64_t count, ReduceOp op,
                void* scratch) {
  if (op == ReduceOp::sum) {
    fold_all<S, Sum>(sources, ranks, out, count, scratch);
  } else {
    fold_all<S, Max>(sources, ranks, out, count, scratch);
  }
}

}  // namespace

FoldScratch::FoldScratch(int ranks)
    : memory_(static_cast<size_t>(2 * kTile) *
              static_cast<size_t>(std::bit_width(static_cast<unsigned>(ranks)) + 2)) {
  static_assert(sizeof(double) >= sizeof(int64_t) && sizeof(double) >= sizeof(float));
}

void fold(const void* const* sources, int ranks, void* out, int64_t count, DType dtype, ReduceOp op,
          FoldScratch& scratch) {
  switch (dtype) {
    case DType::f32:
      return fold_typed<float>(sources, ranks, out, count, op, scratch.data());
    case DType::f64:
      return fold_typed<double>(sources, ranks, out, count, op, scratch.data());
    case DType::bf16:
      return fold_typed<Bf16>(sources, ranks, out, count, op, scratch.data());
    case DType::f16:
      return fold_typed<F16>(sources, ranks, out, count, op, scratch.data());
    case DType::i64:
      return fold_typed<int64_t>(sources, ranks, out, count, op, scratch.data());
    default:
      fail(ErrorKind::internal, "cannot reduce {}; reductions take f32, f64, bf16, f16 and i64",
           name(dtype));
  }
}

}  // namespace weft
