// The gradient of attention: the probabilities of a pair of blocks are computed again from the
// saved log-sum-exp (Dao et al., arXiv 2205.14135). Work is cut by (sample, kv head), where the
// heads of a group add to the same keys and values one after the other: no result depends on the
// threads.
#include "core/ops/cpu/attention_blocks.h"
#include "core/ops/cpu/cpu_ops.h"

namespace weft {
namespace {

using namespace attention;
using kernels::HostTeam;
using tile::Matrix;
using tile::multiply;
using tile::Part;
template <typename T>
using Layout = AttentionLayout<T>;

// Working memory of one thread. Everything but the tiles covers a whole head, block by block.
template <typename T>
struct BackwardSpace {
  int64_t width;                   // of padded rows
  T *keys_t, *values_t, *keys;     // of the kv head: transposed blocks; padded rows
  T *dkeys, *dvalues;              // sums: padded rows
  T *queries, *dout, *dqueries;    // of the head: padded rows, queries scaled; sums
  T* delta;                        // of each query: dout . out
  T *weights, *dropped, *dscores;  // tiles

  static int64_t size(const Layout<T>& l) {
    const int64_t padded = tile::padded<T>(l.dim);
    return blocks_of(l.keys) * kBlock * (2 * l.dim + 3 * padded) +
           blocks_of(l.queries) * kBlock * (3 * padded + 1) + 3 * kBlock * kBlock;
  }
  BackwardSpace(const Layout<T>& l, T* memory) : width(tile::padded<T>(l.dim)) {
    const int64_t key_rows = blocks_of(l.keys) * kBlock;
    const int64_t query_rows = blocks_of(l.queries) * kBlock;
    Pieces<T> pieces(memory);
    for (T** p : {&keys_t, &values_t}) *p = pieces.take(key_rows * l.dim);
    for (T** p : {&keys, &dkeys, &dvalues}) *p = pieces.take(key_rows * width);
    for (T** p : {&queries, &dout, &dqueries}) *p = pieces.take(query_rows * width);
    delta = pieces.take(query_rows);
    for (T** p : {&weights, &dropped, &dscores}) *p = pieces.take(kBlock * kBlock);
  }
};

// T is the arithmetic type of S.
template <typename S, typename T>
struct BackwardTask {
  Layout<T> l;
  const S *dout, *qkv, *kv, *out;
  const T* lse;
  S *dqkv, *dkv;
};

// One pair of blocks: blocks of the two shares and their numbers.
struct Tile {
  int64_t i, j;
  Block query, key;
};

// Row r of a tile, [0, visible) of it seen: weights become probabilities, dscores (d loss / d
// dropped probabilities) become d loss / d scores, dropped the probabilities that met the values.
template <typename T>
void backward_row(const Layout<T>& l, const BackwardSpace<T>& s, int64_t b, int64_t h,
                  const Tile& tile, int64_t r, T lse) {
  const int64_t visible = visible_keys(tile.query, r, tile.key);
  T* p = s.weights + r * kBlock;
  T* dp = s.dscores + r * kBlock;
  const T delta = s.delta[tile.i * kBlock + r];
  HostTeam().for_each(visible, [=](int64_t j) WEFT_LANE { p[j] = kernels::exp(p[j] - lse); });
  for (int64_t j = visible; j < kBlock; ++j) p[j] = dp[j] = T(0);
  if (l.dropout > 0) {
    T* dropped = s.dropped + r * kBlock;
    const int64_t query = tile.query.global + r;
    drop(l, b, h, query, tile.key.global, visible, p, dropped);
    drop(l, b, h, query, tile.key.global, visible, dp, dp);
    for (int64_t j = visible; j < kBlock; ++j) dropped[j] = T(0);
  }
  HostTeam().for_each(kBlock, [=](int64_t j) WEFT_LANE { dp[j] = p[j] * (dp[j] - delta); });
}

template <typename S, typename T>
void backward_tile(const BackwardTask<S, T>& t, const BackwardSpace<T>& s, int64_t b, int64_t h,
                   const Tile& tile) {
  const Layout<T>& l = t.l;
  const bool diagonal = on_diagonal(tile.query, tile.key);
  const int64_t rows = tile.query.rows;
  const int64_t keys = tile.key.rows;
  const int64_t width = s.width;
  const int64_t q = tile.i * kBlock * width;
  const int64_t k = tile.j * kBlock * width;
  const Matrix<const T> query_rows{s.queries + q, width};
  const Matrix<const T> dout_rows{s.dout + q, width};
  const Matrix<const T> keys_t{s.keys_t + tile.j * kBlock * l.dim, kBlock};
  const Matrix<const T> values_t{s.values_t + tile.j * kBlock * l.dim, kBlock};
  const Matrix<T> scores{s.weights, kBlock};
  const Matrix<T> dscores{s.dscores, kBlock};
  if (diagonal) {
    multiply<Part::columns_to_row>(rows, kBlock, l.dim, query_rows, keys_t, scores, false);
    multiply<Part::columns_to_row>(rows, kBlock, l.dim, dout_rows, values_t, dscores, false);
  } else {
    multiply(rows, kBlock, l.dim, query_rows, keys_t, scores, false);
    multiply(rows, kBlock, l.dim, dout_rows, values_t, dscores, false);
  }
  const T* lse = t.lse + l.lse_at(b, h) + tile.query.local;
  for (int64_t r = 0; r < rows; ++r) backward_row(l, s, b, h, tile, r, lse[r]);
  const T* probabilities = l.dropout > 0 ? s.dropped : s.weights;
  const Matrix<const T> probabilities_t{probabilities, 1, kBlock};
  const Matrix<const T> dscores_t{s.dscores, 1, kBlock};
  const Matrix<const T> dscore_rows{s.dscores, kBlock};
  const Matrix<const T> key_rows{s.keys + k, width};
  const Matrix<T> dvalues{s.dvalues + k, width};
  const Matrix<T> dkeys{s.dkeys + k, width};
  const Matrix<T> dqueries{s.dqueries + q, width};
  if (diagonal) {
    multiply<Part::depth_from_row>(keys, width, rows, probabilities_t, dout_rows, dvalues, true);
    multiply<Part::depth_from_row>(keys, width, rows, dscores_t, query_rows, dkeys, true);
    multiply<Part::depth_to_row>(rows, width, keys, dscore_rows, key_rows, dqueries, true);
  } else {
    multiply(keys, width, rows, probabilities_t, dout_rows, dvalues, true);
    multiply(keys, width, rows, dscores_t, query_rows, dkeys, true);
    multiply(rows, width, keys, dscore_rows, key_rows, dqueries, true);
  }
}

template <typename S, typename T>
void pack_queries(const BackwardTask<S, T>& t, const BackwardSpace<T>& s, int64_t b, int64_t h,
                  int64_t first) {
  const Layout<T>& l = t.l;
  for (int64_t i = first; i < blocks_of(l.queries); ++i) {
    const Block query = block_of(l.queries, i);
    const int64_t to = i * kBlock * s.width;
    const S* out = t.out + l.out_at(b, h) + query.local * l.out_width();
    const S* dout = t.dout + l.out_at(b, h) + query.local * l.out_width();
    pack_rows(query.rows, l.dim, s.width, t.qkv + l.q_at(b, h) + query.local * l.q_width(),
              l.q_width(), l.scale, s.queries + to);
    pack_rows(query.rows, l.dim, s.width, dout, l.out_width(), T(1), s.dout + to);
    for (int64_t r = 0; r < query.rows; ++r) {
      const S* x = out + r * l.out_width();
      const S* y = dout + r * l.out_width();
      s.delta[i * kBlock + r] = HostTeam().sum<T>(
          l.dim, [=](int64_t d) WEFT_LANE { return kernels::load(x[d]) * kernels::load(y[d]); });
    }
    std::fill_n(s.dqueries + to, kBlock * s.width, T(0));
  }
}

template <typename S, typename T>
void backward_head(const BackwardTask<S, T>& t, const BackwardSpace<T>& s, int64_t b, int64_t h) {
  const Layout<T>& l = t.l;
  const int64_t first = first_seeing_block(l);
  pack_queries(t, s, b, h, first);
  for (int64_t j = 0; j < seen_key_blocks(l); ++j) {
    const Block key = block_of(l.keys, j);
    for (int64_t i = first; i < blocks_of(l.queries); ++i) {
      const Block query = block_of(l.queries, i);
      if (!hidden(query, key)) backward_tile(t, s, b, h, {i, j, query, key});
    }
  }
  for (int64_t i = first; i < blocks_of(l.queries); ++i) {
    const Block query = block_of(l.queries, i);
    const T* from = s.dqueries + i * kBlock * s.width;
    S* to = t.dqkv + l.q_at(b, h) + query.local * l.q_width();
    (l.merge ? add_rows<S, T> : unpack_rows<S, T>)(query.rows, l.dim, s.width, from, l.scale, to,
                                                   l.q_width());
  }
}

template <typename S, typename T>
void backward_group(const BackwardTask<S, T>& t, const BackwardSpace<T>& s, int64_t b, int64_t kv) {
  const Layout<T>& l = t.l;
  const int64_t k_at = l.k_at(b, kv);
  const int64_t v_at = l.v_at(b, kv);
  for (int64_t j = 0; j < seen_key_blocks(l); ++j) {
    const Block key = block_of(l.keys, j);
    const int64_t row = key.local * l.kv_width;
    const int64_t transposed = j * kBlock * l.dim;
    pack_transposed(key.rows, l.dim, t.kv + k_at + row, l.kv_width, s.keys_t + transposed);
    pack_transposed(key.rows, l.dim, t.kv + v_at + row, l.kv_width, s.values_t + transposed);
    pack_rows(key.rows, l.dim, s.width, t.kv + k_at + row, l.kv_width, T(1),
              s.keys + j * kBlock * s.width);
  }
  std::fill_n(s.dkeys, blocks_of(l.keys) * kBlock * s.width, T(0));
  std::fill_n(s.dvalues, blocks_of(l.keys) * kBlock * s.width, T(0));
  for (int64_t h = kv * l.group(); h < (kv + 1) * l.group(); ++h) backward_head(t, s, b, h);
  for (int64_t j = 0; j < blocks_of(l.keys); ++j) {
    const Block key = block_of(l.keys, j);
    const int64_t row = key.local * l.kv_width;
    const int64_t from = j * kBlock * s.width;
    unpack_rows(key.rows, l.dim, s.width, s.dkeys + from, T(1), t.dkv + k_at + row, l.kv_width);
    unpack_rows(key.rows, l.dim, s.width, s.dvalues + from, T(1), t.dkv + v_at + row, l.kv_width);
  }
}

}  // namespace

size_t detail::attention_bytes(const op::AttentionBackward& args, int threads) {
  size_t bytes = 0;
  with_float(args.qkv.dtype(), [&](auto zero) {
    using T = kernels::Arithmetic<decltype(zero)>;
    const auto elements =
        tile::padded<T>(BackwardSpace<T>::size(Layout<T>(args.spec, args.qkv, args.kv)));
    bytes = static_cast<size_t>(elements * threads) * sizeof(T);
  });
  return bytes;
}

void CpuOps::run(const op::AttentionBackward& args, Stream& stream) {
  detail::with_float(args.qkv.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    const BackwardTask<S, T> t{Layout<T>(args.spec, args.qkv, args.kv),
                               args.dout.data<S>(),
                               args.qkv.data<S>(),
                               args.kv.data<S>(),
                               args.out.data<S>(),
                               args.lse.data<T>(),
                               args.dqkv.data<S>(),
                               args.dkv.data<S>()};
    cpu.run([threads = cpu.threads(), scratch = &scratch_, t] {
      const int64_t size = tile::padded<T>(BackwardSpace<T>::size(t.l));
      T* memory = scratch->get<T>(size * threads);
      parallel_tasks(threads, t.l.batch * t.l.kv_heads, [&](int64_t task, int64_t thread) {
        const BackwardSpace<T> space(t.l, memory + thread * size);
        backward_group(t, space, task / t.l.kv_heads, task % t.l.kv_heads);
      });
    });
  });
}

}  // namespace weft
