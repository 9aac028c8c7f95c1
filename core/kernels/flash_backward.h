// FlashAttention-2 backward (arXiv 2307.08691) in two passes that need no atomics, so that the
// order of every sum is fixed by the shape: one takes a tile of queries through all keys they saw,
// for the gradient of the queries; the other a tile of keys through all queries that saw them, for
// those of keys and values. Both compute the probabilities again from the saved log-sum-exp: 7
// products of tiles instead of the 5 of one pass with atomics.
#pragma once

#include "core/kernels/flash_tiles.h"

namespace weft::kernels::flash {

// Rows of the tiles that pass by, of which there are two of each kind: one is computed with while
// the next one comes.
constexpr int kPassing = 32;

template <int D>
constexpr int kBackwardElements = (2 * kRows + 4 * kPassing) * kStride<D>;  // of shared memory

template <typename S, typename Shape>
struct Backward {
  Shape shape;
  const S *dout, *qkv, *kv;
  const float *lse, *delta;  // [batch, heads, queries]; delta = dout . out of each query
  S *dqkv, *dkv;
};

// Two tiles that stay and two pairs of tiles that pass.
template <int D, typename S>
struct BackwardTiles {
  S *own_first, *own_second, *passing;

  WEFT_DEVICE explicit BackwardTiles(S* shared)
      : own_first(shared),
        own_second(shared + kRows * kStride<D>),
        passing(shared + 2 * kRows * kStride<D>) {}
  WEFT_DEVICE S* first(int64_t step) const {
    return passing + step % 2 * 2 * kPassing * kStride<D>;
  }
  WEFT_DEVICE S* second(int64_t step) const { return first(step) + kPassing * kStride<D>; }
};

// Calls compute(step) for all steps in order; load(step) begins the copies of a step, one ahead.
template <typename Warp, typename Load, typename Compute>
WEFT_DEVICE void pipelined(const Warp& w, int64_t steps, const Load& load, const Compute& compute) {
  if (steps > 0) load(0);
  w.commit();
  for (int64_t step = 0; step < steps; ++step) {
    if (step + 1 < steps) load(step + 1);
    w.commit();
    w.template wait<1>();
    w.sync();  // the tiles of this step are there
    compute(step);
    w.sync();  // and no longer needed
  }
  w.template wait<0>();
}

// What a score and the gradient of its probability become: the probability that met the value, and
// the gradient of the score (without `scale`). `seen` is false where the mask hides the pair.
struct PairGradient {
  float weight, dscore;
};
template <typename Warp, typename Shape>
WEFT_DEVICE PairGradient pair_gradient(const Warp& w, const Shape& shape, int64_t b, int64_t h,
                                       int64_t query, int64_t key, float score, float dweight,
                                       float lse, float delta) {
  const float p = w.exp2(score * (shape.scale * kLog2e) - lse * kLog2e);
  const float kept = shape.keep_factor != 0.0f ? shape.dropout(b, h, query, key) : 1.0f;
  return {p * kept, p * (dweight * kept - delta)};
}

// The gradient of queries [block kRows, ...) of head (b, h). `shared` is kBackwardElements<D> of S.
template <int D, typename Warp, typename S, typename Shape>
WEFT_DEVICE void query_gradient_block(const Warp& w, const Backward<S, Shape>& p, int64_t b,
                                      int64_t h, int64_t block, S* shared) {
  const Shape& shape = p.shape;
  const int dim = static_cast<int>(shape.dim);
  const BackwardTiles<D, S> tiles(shared);
  const int64_t block_first = block * kRows;
  const int64_t end = block_first + kRows;
  const int64_t block_last = (end < shape.queries.count ? end : shape.queries.count) - 1;
  const int64_t last_place = shape.queries.at(block_last);
  int64_t steps = 0;
  while (steps * kPassing < shape.keys.count && shape.keys.at(steps * kPassing) <= last_place) {
    ++steps;
  }
  load_tile<D, kRows>(w, tiles.own_first, p.qkv + shape.q_at(b, h), shape.q_width, block_first,
                      shape.queries.count, dim);
  load_tile<D, kRows>(w, tiles.own_second, p.dout + shape.out_at(b, h), shape.out_width(),
                      block_first, shape.queries.count, dim);

  const int64_t first = block_first + 16 * w.index();
  float lse[2][Warp::kSlots], delta[2][Warp::kSlots], scale[2][Warp::kSlots];
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    WEFT_UNROLL
    for (int slot = 0; slot < Warp::kSlots; ++slot) {
      const int64_t row = first + w.lane(slot) / 4 + half * 8;
      const int64_t at = shape.lse_at(b, h) + row;
      lse[half][slot] = row < shape.queries.count ? p.lse[at] : 0.0f;
      delta[half][slot] = row < shape.queries.count ? p.delta[at] : 0.0f;
      scale[half][slot] = shape.scale;
    }
  }
  float dqueries[D / 8][Warp::kSlots][4];
  clear(dqueries);
  const int64_t kv = shape.kv_head(h);
  pipelined(
      w, steps,
      [&](int64_t step) {
        load_tile<D, kPassing>(w, tiles.first(step), p.kv + shape.k_at(b, kv), shape.kv_width,
                               step * kPassing, shape.keys.count, dim);
        load_tile<D, kPassing>(w, tiles.second(step), p.kv + shape.v_at(b, kv), shape.kv_width,
                               step * kPassing, shape.keys.count, dim);
      },
      [&](int64_t step) {
        const int64_t key = step * kPassing;
        float scores[kPassing / 8][Warp::kSlots][4], dweights[kPassing / 8][Warp::kSlots][4];
        multiply_rows<D>(w, tiles.own_first, 16 * w.index(), tiles.first(step), scores);
        multiply_rows<D>(w, tiles.own_second, 16 * w.index(), tiles.second(step), dweights);
        for_each_element(w, scores, [&](int slot, int n, int i, int row, int column) {
          const int64_t q = first + row;
          const int64_t k = key + column;
          float dscore = 0.0f;
          if (q < shape.queries.count && shape.sees(q, k)) {
            dscore = pair_gradient(w, shape, b, h, q, k, scores[n][slot][i], dweights[n][slot][i],
                                   lse[i / 2][slot], delta[i / 2][slot])
                         .dscore;
          }
          scores[n][slot][i] = dscore;
        });
        multiply_weights<D>(w, scores, tiles.first(step), dqueries);
      });
  store_rows(w, dqueries, scale, shape.merge, p.dqkv + shape.q_at(b, h), shape.q_width, first,
             shape.queries.count, dim);
}

// The gradients of keys and values [block kRows, ...) of head (b, kv), from the heads of its group
// one after the other. Products are of keys (rows) by queries (columns).
template <int D, typename Warp, typename S, typename Shape>
WEFT_DEVICE void key_gradient_block(const Warp& w, const Backward<S, Shape>& p, int64_t b,
                                    int64_t kv, int64_t block, S* shared) {
  const Shape& shape = p.shape;
  const int dim = static_cast<int>(shape.dim);
  const BackwardTiles<D, S> tiles(shared);
  const int64_t block_first = block * kRows;
  const int64_t first_place = shape.keys.at(block_first);
  // The tiles of queries from the first one that sees any of these keys.
  int64_t begin = 0;
  const auto last_of = [&](int64_t q) {
    const int64_t end = q + kPassing;
    return (end < shape.queries.count ? end : shape.queries.count) - 1;
  };
  while (begin < shape.queries.count && shape.queries.at(last_of(begin)) < first_place) {
    begin += kPassing;
  }
  const int64_t left = shape.queries.count - begin;
  const int64_t of_head = left > 0 ? (left + kPassing - 1) / kPassing : 0;
  const int64_t group = shape.heads / shape.kv_heads;
  const auto head_of = [&](int64_t step) { return kv * group + step / of_head; };
  const auto query_of = [&](int64_t step) { return begin + step % of_head * kPassing; };

  load_tile<D, kRows>(w, tiles.own_first, p.kv + shape.k_at(b, kv), shape.kv_width, block_first,
                      shape.keys.count, dim);
  load_tile<D, kRows>(w, tiles.own_second, p.kv + shape.v_at(b, kv), shape.kv_width, block_first,
                      shape.keys.count, dim);
  const int64_t first = block_first + 16 * w.index();
  float dkeys[D / 8][Warp::kSlots][4], dvalues[D / 8][Warp::kSlots][4];
  clear(dkeys);
  clear(dvalues);
  pipelined(
      w, group * of_head,
      [&](int64_t step) {
        const int64_t h = head_of(step);
        load_tile<D, kPassing>(w, tiles.first(step), p.qkv + shape.q_at(b, h), shape.q_width,
                               query_of(step), shape.queries.count, dim);
        load_tile<D, kPassing>(w, tiles.second(step), p.dout + shape.out_at(b, h),
                               shape.out_width(), query_of(step), shape.queries.count, dim);
      },
      [&](int64_t step) {
        const int64_t h = head_of(step);
        const int64_t query = query_of(step);
        const float* lse = p.lse + shape.lse_at(b, h);
        const float* delta = p.delta + shape.lse_at(b, h);
        float scores[kPassing / 8][Warp::kSlots][4], dweights[kPassing / 8][Warp::kSlots][4];
        multiply_rows<D>(w, tiles.own_first, 16 * w.index(), tiles.first(step), scores);
        multiply_rows<D>(w, tiles.own_second, 16 * w.index(), tiles.second(step), dweights);
        for_each_element(w, scores, [&](int slot, int n, int i, int row, int column) {
          const int64_t k = first + row;
          const int64_t q = query + column;
          PairGradient g{0.0f, 0.0f};
          if (q < shape.queries.count && shape.sees(q, k)) {
            g = pair_gradient(w, shape, b, h, q, k, scores[n][slot][i], dweights[n][slot][i],
                              lse[q], delta[q]);
          }
          scores[n][slot][i] = g.weight;
          dweights[n][slot][i] = g.dscore;
        });
        multiply_weights<D>(w, scores, tiles.second(step), dvalues);
        multiply_weights<D>(w, dweights, tiles.first(step), dkeys);
      });
  float one[2][Warp::kSlots], scale[2][Warp::kSlots];
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    WEFT_UNROLL
    for (int slot = 0; slot < Warp::kSlots; ++slot) {
      one[half][slot] = 1.0f;
      scale[half][slot] = shape.scale;
    }
  }
  store_rows(w, dkeys, scale, false, p.dkv + shape.k_at(b, kv), shape.kv_width, first,
             shape.keys.count, dim);
  store_rows(w, dvalues, one, false, p.dkv + shape.v_at(b, kv), shape.kv_width, first,
             shape.keys.count, dim);
}

}  // namespace weft::kernels::flash
