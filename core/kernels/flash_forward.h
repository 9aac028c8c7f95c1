// FlashAttention-2 forward (arXiv 2307.08691): a block takes kRows queries of one head through all
// keys they may see, with the softmax as a running maximum and sum in registers. The order of every
// sum is fixed by the shape.
#pragma once

#include "core/kernels/flash_tiles.h"

namespace weft::kernels::flash {

// Keys and values of a tile.
constexpr int kForwardKeys = 64;

template <int D>
constexpr int kForwardElements = (kRows + 2 * kForwardKeys) * kStride<D>;  // of shared memory

// Shape is an AttentionProblem (core/ops/attention_problem.h).
template <typename S, typename Shape>
struct Forward {
  Shape shape;
  const S *qkv, *kv;
  S* out;
  float* lse;  // may be null
};

// Of each lane's two rows. Maxima are of scores times scale, in powers of 2.
template <int D, int kSlots>
struct RunningSoftmax {
  float sums[D / 8][kSlots][4];
  float top[2][kSlots], total[2][kSlots];
};

// Before the first key; or, when other blocks of keys came before, the softmax of those.
template <int D, typename Warp, typename S, typename Shape>
WEFT_DEVICE void begin_rows(const Warp& w, const Forward<S, Shape>& p, int64_t b, int64_t h,
                            int64_t first, RunningSoftmax<D, Warp::kSlots>& r) {
  clear(r.sums);
  const Shape& shape = p.shape;
  WEFT_UNROLL
  for (int slot = 0; slot < Warp::kSlots; ++slot) {
    WEFT_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int64_t row = first + w.lane(slot) / 4 + half * 8;
      const bool merge = shape.merge && row < shape.queries.count;
      r.top[half][slot] = merge ? p.lse[shape.lse_at(b, h) + row] * kLog2e : kHidden;
      // The four lanes of a row add their totals at the end.
      r.total[half][slot] = merge && w.lane(slot) % 4 == 0 ? 1.0f : 0.0f;
    }
  }
  if (!shape.merge) return;
  for_each_element(w, r.sums, [&](int slot, int n, int i, int row, int column) {
    if (first + row < shape.queries.count && column < shape.dim) {
      r.sums[n][slot][i] =
          load(p.out[shape.out_at(b, h) + (first + row) * shape.out_width() + column]);
    }
  });
}

// Scores of keys [key, key + 8 N) become probabilities relative to the new maximum; what was summed
// before fades with it.
template <int D, typename Warp, typename Shape, int N>
WEFT_DEVICE void online_softmax(const Warp& w, const Shape& shape, int64_t first, int64_t key,
                                bool masked, float (&scores)[N][Warp::kSlots][4],
                                RunningSoftmax<D, Warp::kSlots>& r) {
  const float scale = shape.scale * kLog2e;
  for_each_element(w, scores, [&](int slot, int n, int i, int row, int column) {
    const bool seen = !masked || shape.sees(first + row, key + column);
    scores[n][slot][i] = seen ? scores[n][slot][i] * scale : kHidden;
  });
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    float top[Warp::kSlots];
    WEFT_UNROLL
    for (int slot = 0; slot < Warp::kSlots; ++slot) {
      top[slot] = kHidden;
      WEFT_UNROLL
      for (int n = 0; n < N; ++n) {
        const float(&c)[4] = scores[n][slot];
        const float larger = c[2 * half] > c[2 * half + 1] ? c[2 * half] : c[2 * half + 1];
        top[slot] = larger > top[slot] ? larger : top[slot];
      }
    }
    w.quad_max(top);
    WEFT_UNROLL
    for (int slot = 0; slot < Warp::kSlots; ++slot) {
      const float before = r.top[half][slot];
      const float now = top[slot] > before ? top[slot] : before;
      // A row that has seen no key keeps zeros: without the 0 its weights would be NaN.
      const float shift = now == kHidden ? 0.0f : now;
      const float fade = w.exp2(before - shift);
      r.top[half][slot] = now;
      r.total[half][slot] *= fade;
      WEFT_UNROLL
      for (int n = 0; n < D / 8; ++n) {
        r.sums[n][slot][2 * half] *= fade;
        r.sums[n][slot][2 * half + 1] *= fade;
      }
      WEFT_UNROLL
      for (int n = 0; n < N; ++n) {
        WEFT_UNROLL
        for (int i = 2 * half; i < 2 * half + 2; ++i) {
          scores[n][slot][i] = w.exp2(scores[n][slot][i] - shift);
          r.total[half][slot] += scores[n][slot][i];
        }
      }
    }
  }
}

template <int D, typename Warp, typename S, typename Shape>
WEFT_DEVICE void finish_rows(const Warp& w, const Forward<S, Shape>& p, int64_t b, int64_t h,
                             int64_t first, RunningSoftmax<D, Warp::kSlots>& r) {
  const Shape& shape = p.shape;
  float factor[2][Warp::kSlots];
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    w.quad_sum(r.total[half]);
    WEFT_UNROLL
    for (int slot = 0; slot < Warp::kSlots; ++slot) {
      const float total = r.total[half][slot];
      factor[half][slot] = total > 0.0f ? 1.0f / total : 0.0f;
      const int64_t row = first + w.lane(slot) / 4 + half * 8;
      if (p.lse != nullptr && w.lane(slot) % 4 == 0 && row < shape.queries.count) {
        p.lse[shape.lse_at(b, h) + row] = r.top[half][slot] * kLn2 + std::log(total);
      }
    }
  }
  store_rows(w, r.sums, factor, false, p.out + shape.out_at(b, h), shape.out_width(), first,
             shape.queries.count, static_cast<int>(shape.dim));
}

// Queries [block kRows, ...) of head (b, h). `shared` is kForwardElements<D> of S, 16-byte aligned.
template <int D, typename Warp, typename S, typename Shape>
WEFT_DEVICE void forward_block(const Warp& w, const Forward<S, Shape>& p, int64_t b, int64_t h,
                               int64_t block, S* shared) {
  constexpr int kKeys = kForwardKeys;
  const Shape& shape = p.shape;
  const int dim = static_cast<int>(shape.dim);
  const S* keys_from = p.kv + shape.k_at(b, shape.kv_head(h));
  const S* values_from = p.kv + shape.v_at(b, shape.kv_head(h));
  S* queries = shared;
  S* keys = queries + kRows * kStride<D>;
  S* values = keys + kKeys * kStride<D>;

  const int64_t block_first = block * kRows;
  const int64_t block_last =
      block_first + kRows < shape.queries.count ? block_first + kRows - 1 : shape.queries.count - 1;
  const int64_t first_place = shape.queries.at(block_first);
  const int64_t last_place = shape.queries.at(block_last);
  const auto begins = [&](int64_t key) {
    return key < shape.keys.count && shape.keys.at(key) <= last_place;
  };

  load_tile<D, kRows>(w, queries, p.qkv + shape.q_at(b, h), shape.q_width, block_first,
                      shape.queries.count, dim);
  load_tile<D, kKeys>(w, keys, keys_from, shape.kv_width, 0, shape.keys.count, dim);
  w.commit();
  const int64_t first = block_first + 16 * w.index();  // of the warp's rows
  RunningSoftmax<D, Warp::kSlots> r;
  begin_rows<D>(w, p, b, h, first, r);
  for (int64_t key = 0; begins(key); key += kKeys) {
    load_tile<D, kKeys>(w, values, values_from, shape.kv_width, key, shape.keys.count, dim);
    w.commit();
    w.template wait<1>();
    w.sync();  // the keys are there
    float scores[kKeys / 8][Warp::kSlots][4];
    multiply_rows<D>(w, queries, 16 * w.index(), keys, scores);
    w.sync();  // and no longer needed
    if (begins(key + kKeys)) {
      load_tile<D, kKeys>(w, keys, keys_from, shape.kv_width, key + kKeys, shape.keys.count, dim);
    }
    w.commit();
    const bool masked =
        key + kKeys > shape.keys.count || shape.keys.at(key + kKeys - 1) > first_place;
    online_softmax<D>(w, shape, first, key, masked, scores, r);
    if (shape.keep_factor != 0.0f) {
      for_each_element(w, scores, [&](int slot, int n, int i, int row, int column) {
        // Hidden weights are 0 already; past the end there is no number to draw for.
        if (first + row < shape.queries.count && key + column < shape.keys.count) {
          scores[n][slot][i] *= shape.dropout(b, h, first + row, key + column);
        }
      });
    }
    w.template wait<1>();
    w.sync();  // the values are there
    multiply_weights<D>(w, scores, values, r.sums);
    w.sync();  // and no longer needed
  }
  w.template wait<0>();
  finish_rows<D>(w, p, b, h, first, r);
}

}  // namespace weft::kernels::flash
