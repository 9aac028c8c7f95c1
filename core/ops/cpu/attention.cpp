// Causal attention without a T x T matrix (Dao et al., arXiv 2205.14135): queries and keys are
// taken in blocks, the softmax is kept as a running maximum and sum, and backward computes the
// probabilities again from the saved log-sum-exp.
//
// Work is cut by (sample, head) forward and by (sample, kv head) backward, where the heads of a
// group add to the same keys and values one after the other: no result depends on the threads.
#include <omp.h>

#include <cmath>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/dropout.h"
#include "core/ops/cpu/cpu_ops.h"
#include "core/ops/cpu/tile.h"

namespace weft {
namespace {

using kernels::HostTeam;
using tile::Matrix;
using tile::multiply;
using tile::Part;

constexpr int64_t kBlock = 64;  // queries and keys of a block; whole vectors in every type

// Sizes and strides of one call. qkv rows are [q heads | k heads | v heads].
template <typename T>
struct Layout {
  int64_t batch, length, heads, kv_heads, dim;
  int64_t width;       // of a row of qkv
  int64_t padded_dim;  // dim in whole vectors
  T scale;
  double dropout;
  RandomKey key;
  int64_t first_sample, first_head, global_heads;

  Layout(const AttentionArgs& args, const Tensor& qkv)
      : batch(qkv.shape()[0]),
        length(qkv.shape()[1]),
        heads(args.heads),
        kv_heads(args.kv_heads),
        dim(args.head_dim),
        width(qkv.shape().back()),
        padded_dim(tile::padded<T>(args.head_dim)),
        scale(static_cast<T>(args.scale)),
        dropout(args.dropout),
        key(args.dropout_key),
        first_sample(args.first_sample),
        first_head(args.first_head),
        global_heads(args.global_heads > 0 ? args.global_heads : args.heads) {}

  int64_t blocks() const { return (length + kBlock - 1) / kBlock; }
  int64_t rows_of(int64_t block) const { return std::min(kBlock, length - block * kBlock); }
  int64_t group() const { return heads / kv_heads; }
  int64_t q_at(int64_t b, int64_t h) const { return b * length * width + h * dim; }
  int64_t k_at(int64_t b, int64_t kv) const { return q_at(b, heads + kv); }
  int64_t v_at(int64_t b, int64_t kv) const { return q_at(b, heads + kv_heads + kv); }
  int64_t out_at(int64_t b, int64_t h) const { return (b * length * heads + h) * dim; }
  int64_t out_row() const { return heads * dim; }
  // The element of the dropout key for query i and key 0.
  uint64_t mask_at(int64_t b, int64_t h, int64_t i) const {
    const int64_t head = (first_sample + b) * global_heads + first_head + h;
    return static_cast<uint64_t>((head * length + i) * length);
  }
};

// Multiplies row probabilities (or their gradients) of query i, keys [j, j + n), by mask / (1 - p).
template <typename T>
void drop(const Layout<T>& l, int64_t b, int64_t h, int64_t i, int64_t j, int64_t n, const T* from,
          T* to) {
  kernels::dropout_run(HostTeam(), l.key, l.mask_at(b, h, i) + static_cast<uint64_t>(j), n,
                       kernels::dropout_threshold(l.dropout),
                       static_cast<T>(1.0 / (1.0 - l.dropout)), from, to);
}

// to[r][0, padded_dim) = from[r][0, dim) * factor, rows `stride` apart, padding zero.
template <typename T>
void pack_rows(int64_t rows, int64_t dim, int64_t padded_dim, const T* from, int64_t stride,
               T factor, T* to) {
  for (int64_t r = 0; r < rows; ++r, from += stride, to += padded_dim) {
    HostTeam().for_each(dim, [=](int64_t d) WEFT_LANE { to[d] = from[d] * factor; });
    for (int64_t d = dim; d < padded_dim; ++d) to[d] = T(0);
  }
}

// to[block][d][kBlock] = from[row][d]: each block of rows transposed, missing rows zero.
template <typename T>
void pack_transposed(const Layout<T>& l, const T* from, int64_t stride, T* to) {
  for (int64_t block = 0; block < l.blocks(); ++block, to += l.dim * kBlock) {
    const T* rows = from + block * kBlock * stride;
    const int64_t count = l.rows_of(block);
    for (int64_t r = 0; r < count; ++r) {
      for (int64_t d = 0; d < l.dim; ++d) to[d * kBlock + r] = rows[r * stride + d];
    }
    for (int64_t r = count; r < kBlock; ++r) {
      for (int64_t d = 0; d < l.dim; ++d) to[d * kBlock + r] = T(0);
    }
  }
}

// rows [0, rows) of to, `stride` apart, = from[r][0, dim) * factor.
template <typename T>
void unpack_rows(int64_t rows, int64_t dim, int64_t padded_dim, const T* from, T factor, T* to,
                 int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, from += padded_dim, to += stride) {
    HostTeam().for_each(dim, [=](int64_t d) WEFT_LANE { to[d] = from[d] * factor; });
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

// ---- forward ----

// Working memory of one thread.
template <typename T>
struct ForwardSpace {
  T *keys, *values;            // of the whole head: transposed blocks, padded rows
  T *queries, *scores, *sums;  // of one block of queries
  T *top, *total;              // of its rows: running maximum and sum

  static int64_t size(const Layout<T>& l) {
    return l.blocks() * kBlock * (l.dim + l.padded_dim) + kBlock * (2 * l.padded_dim + kBlock + 2);
  }
  ForwardSpace(const Layout<T>& l, T* memory) {
    Pieces<T> pieces(memory);
    keys = pieces.take(l.blocks() * kBlock * l.dim);
    values = pieces.take(l.blocks() * kBlock * l.padded_dim);
    queries = pieces.take(kBlock * l.padded_dim);
    scores = pieces.take(kBlock * kBlock);
    sums = pieces.take(kBlock * l.padded_dim);
    top = pieces.take(kBlock);
    total = pieces.take(kBlock);
  }
};

// Turns row i of the scores, of which [0, visible) are seen, into probabilities relative to the new
// running maximum; rescales what was summed before.
template <typename T>
void online_softmax_row(const ForwardSpace<T>& s, int64_t i, int64_t visible, int64_t padded_dim) {
  T* row = s.scores + i * kBlock;
  const T block_top = HostTeam().max<T>(visible, [=](int64_t j) WEFT_LANE { return row[j]; });
  const T top = s.top[i] > block_top ? s.top[i] : block_top;
  HostTeam().for_each(visible, [=](int64_t j) WEFT_LANE { row[j] = kernels::exp(row[j] - top); });
  for (int64_t j = visible; j < kBlock; ++j) row[j] = T(0);
  const T sum = HostTeam().sum<T>(kBlock, [=](int64_t j) WEFT_LANE { return row[j]; });
  const T fade = kernels::exp(s.top[i] - top);
  s.total[i] = s.total[i] * fade + sum;
  s.top[i] = top;
  if (fade != T(1)) {
    T* out = s.sums + i * padded_dim;
    HostTeam().for_each(padded_dim, [=](int64_t d) WEFT_LANE { out[d] *= fade; });
  }
}

// One block of queries of head (b, h) against all keys it may see.
template <typename T>
void forward_block(const Layout<T>& l, const ForwardSpace<T>& s, int64_t b, int64_t h,
                   int64_t block) {
  const int64_t rows = l.rows_of(block);
  std::fill_n(s.sums, kBlock * l.padded_dim, T(0));
  std::fill_n(s.top, kBlock, -std::numeric_limits<T>::infinity());
  std::fill_n(s.total, kBlock, T(0));
  const Matrix<const T> queries{s.queries, l.padded_dim};
  const Matrix<const T> weights{s.scores, kBlock};
  const Matrix<T> scores{s.scores, kBlock};
  const Matrix<T> sums{s.sums, l.padded_dim};
  for (int64_t k = 0; k <= block; ++k) {
    const bool diagonal = k == block;
    const Matrix<const T> keys{s.keys + k * kBlock * l.dim, kBlock};
    const Matrix<const T> values{s.values + k * kBlock * l.padded_dim, l.padded_dim};
    if (diagonal) {
      multiply<Part::columns_to_row>(rows, kBlock, l.dim, queries, keys, scores, false);
    } else {
      multiply(rows, kBlock, l.dim, queries, keys, scores, false);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t visible = diagonal ? i + 1 : kBlock;
      online_softmax_row(s, i, visible, l.padded_dim);
      if (l.dropout > 0) {
        T* row = s.scores + i * kBlock;
        drop(l, b, h, block * kBlock + i, k * kBlock, visible, row, row);
      }
    }
    if (diagonal) {
      multiply<Part::depth_to_row>(rows, l.padded_dim, rows, weights, values, sums, true);
    } else {
      multiply(rows, l.padded_dim, kBlock, weights, values, sums, true);
    }
  }
}

template <typename T>
void forward_head(const Layout<T>& l, const ForwardSpace<T>& s, int64_t b, int64_t h, const T* qkv,
                  T* out, T* lse) {
  const int64_t kv = h / l.group();
  pack_transposed(l, qkv + l.k_at(b, kv), l.width, s.keys);
  pack_rows(l.length, l.dim, l.padded_dim, qkv + l.v_at(b, kv), l.width, T(1), s.values);
  for (int64_t block = 0; block < l.blocks(); ++block) {
    const int64_t begin = block * kBlock;
    const int64_t rows = l.rows_of(block);
    pack_rows(rows, l.dim, l.padded_dim, qkv + l.q_at(b, h) + begin * l.width, l.width, l.scale,
              s.queries);
    forward_block(l, s, b, h, block);
    for (int64_t i = 0; i < rows; ++i) {
      unpack_rows(1, l.dim, l.padded_dim, s.sums + i * l.padded_dim, T(1) / s.total[i],
                  out + l.out_at(b, h) + (begin + i) * l.out_row(), 0);
      if (lse != nullptr) {
        lse[(b * l.heads + h) * l.length + begin + i] = s.top[i] + std::log(s.total[i]);
      }
    }
  }
}

// ---- backward ----

// Working memory of one thread. Everything but the tiles covers a whole head.
template <typename T>
struct BackwardSpace {
  T *keys_t, *values_t, *keys;     // of the kv head: transposed blocks; padded rows
  T *queries, *dout;               // of the head: padded rows, queries scaled
  T *dqueries, *dkeys, *dvalues;   // sums: padded rows
  T* delta;                        // of each query: dout . out
  T *weights, *dropped, *dscores;  // tiles

  static int64_t size(const Layout<T>& l) {
    const int64_t rows = l.blocks() * kBlock;
    return rows * (2 * l.dim + 6 * l.padded_dim + 1) + 3 * kBlock * kBlock;
  }
  BackwardSpace(const Layout<T>& l, T* memory) {
    const int64_t rows = l.blocks() * kBlock;
    Pieces<T> pieces(memory);
    for (T** p : {&keys_t, &values_t}) *p = pieces.take(rows * l.dim);
    for (T** p : {&keys, &queries, &dout, &dqueries, &dkeys, &dvalues}) {
      *p = pieces.take(rows * l.padded_dim);
    }
    delta = pieces.take(rows);
    for (T** p : {&weights, &dropped, &dscores}) *p = pieces.take(kBlock * kBlock);
  }
};

// Row i of a tile, [0, visible) of it seen: weights become probabilities, dscores (d loss / d
// dropped probabilities) become d loss / d scores, dropped the probabilities that met the values.
template <typename T>
void backward_row(const Layout<T>& l, const BackwardSpace<T>& s, int64_t b, int64_t h,
                  int64_t query, int64_t key, int64_t visible, T lse) {
  const int64_t at = (query % kBlock) * kBlock;
  T* p = s.weights + at;
  T* dp = s.dscores + at;
  const T delta = s.delta[query];
  HostTeam().for_each(visible, [=](int64_t j) WEFT_LANE { p[j] = kernels::exp(p[j] - lse); });
  for (int64_t j = visible; j < kBlock; ++j) p[j] = dp[j] = T(0);
  if (l.dropout > 0) {
    T* dropped = s.dropped + at;
    drop(l, b, h, query, key, visible, p, dropped);
    drop(l, b, h, query, key, visible, dp, dp);
    for (int64_t j = visible; j < kBlock; ++j) dropped[j] = T(0);
  }
  HostTeam().for_each(kBlock, [=](int64_t j) WEFT_LANE { dp[j] = p[j] * (dp[j] - delta); });
}

// Queries of block `i` against keys of block `j` <= i of head (b, h).
template <typename T>
void backward_tile(const Layout<T>& l, const BackwardSpace<T>& s, int64_t b, int64_t h, int64_t i,
                   int64_t j, const T* lse) {
  const bool diagonal = i == j;
  const int64_t rows = l.rows_of(i);
  const int64_t keys = l.rows_of(j);
  const int64_t width = l.padded_dim;
  const int64_t q = i * kBlock * width;
  const int64_t k = j * kBlock * width;
  const Matrix<const T> query_rows{s.queries + q, width};
  const Matrix<const T> dout_rows{s.dout + q, width};
  const Matrix<const T> keys_t{s.keys_t + j * kBlock * l.dim, kBlock};
  const Matrix<const T> values_t{s.values_t + j * kBlock * l.dim, kBlock};
  const Matrix<T> scores{s.weights, kBlock};
  const Matrix<T> dscores{s.dscores, kBlock};
  if (diagonal) {
    multiply<Part::columns_to_row>(rows, kBlock, l.dim, query_rows, keys_t, scores, false);
    multiply<Part::columns_to_row>(rows, kBlock, l.dim, dout_rows, values_t, dscores, false);
  } else {
    multiply(rows, kBlock, l.dim, query_rows, keys_t, scores, false);
    multiply(rows, kBlock, l.dim, dout_rows, values_t, dscores, false);
  }
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t query = i * kBlock + r;
    backward_row(l, s, b, h, query, j * kBlock, diagonal ? r + 1 : kBlock, lse[query]);
  }
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

template <typename T>
struct BackwardTask {
  Layout<T> l;
  const T *dout, *qkv, *out, *lse;
  T* dqkv;
};

template <typename T>
void backward_head(const BackwardTask<T>& t, const BackwardSpace<T>& s, int64_t b, int64_t h) {
  const Layout<T>& l = t.l;
  const T* out = t.out + l.out_at(b, h);
  const T* dout = t.dout + l.out_at(b, h);
  pack_rows(l.length, l.dim, l.padded_dim, t.qkv + l.q_at(b, h), l.width, l.scale, s.queries);
  pack_rows(l.length, l.dim, l.padded_dim, dout, l.out_row(), T(1), s.dout);
  for (int64_t i = 0; i < l.length; ++i) {
    const T* x = out + i * l.out_row();
    const T* y = dout + i * l.out_row();
    s.delta[i] = HostTeam().sum<T>(l.dim, [=](int64_t d) WEFT_LANE { return x[d] * y[d]; });
  }
  std::fill_n(s.dqueries, l.blocks() * kBlock * l.padded_dim, T(0));
  const T* lse = t.lse + (b * l.heads + h) * l.length;
  for (int64_t j = 0; j < l.blocks(); ++j) {
    for (int64_t i = j; i < l.blocks(); ++i) backward_tile(l, s, b, h, i, j, lse);
  }
  unpack_rows(l.length, l.dim, l.padded_dim, s.dqueries, l.scale, t.dqkv + l.q_at(b, h), l.width);
}

template <typename T>
void backward_group(const BackwardTask<T>& t, const BackwardSpace<T>& s, int64_t b, int64_t kv) {
  const Layout<T>& l = t.l;
  const int64_t elements = l.blocks() * kBlock * l.padded_dim;
  pack_transposed(l, t.qkv + l.k_at(b, kv), l.width, s.keys_t);
  pack_transposed(l, t.qkv + l.v_at(b, kv), l.width, s.values_t);
  pack_rows(l.length, l.dim, l.padded_dim, t.qkv + l.k_at(b, kv), l.width, T(1), s.keys);
  std::fill_n(s.dkeys, elements, T(0));
  std::fill_n(s.dvalues, elements, T(0));
  for (int64_t h = kv * l.group(); h < (kv + 1) * l.group(); ++h) backward_head(t, s, b, h);
  unpack_rows(l.length, l.dim, l.padded_dim, s.dkeys, T(1), t.dqkv + l.k_at(b, kv), l.width);
  unpack_rows(l.length, l.dim, l.padded_dim, s.dvalues, T(1), t.dqkv + l.v_at(b, kv), l.width);
}

// Calls body(task, thread) for every task in [0, count), each taken by whichever thread is free.
template <typename Body>
void parallel_tasks(int threads, int64_t count, const Body& body) {
  const int workers = static_cast<int>(std::min<int64_t>(threads, count));
#pragma omp parallel for schedule(dynamic, 1) num_threads(workers) if (workers > 1)
  for (int64_t task = 0; task < count; ++task) body(task, int64_t{omp_get_thread_num()});
}

// ---- decode ----

template <typename T>
struct DecodeTask {
  Layout<T> l;
  int64_t past, capacity;
  const T* qkv;
  T *keys, *values;  // caches
  T* out;

  int64_t cache_width() const { return l.kv_heads * l.dim; }
};

template <typename T>
void store_keys_and_values(const DecodeTask<T>& t, int64_t b) {
  const int64_t width = t.cache_width();
  for (int64_t i = 0; i < t.l.length; ++i) {
    const int64_t to = (b * t.capacity + t.past + i) * width;
    std::copy_n(t.qkv + t.l.k_at(b, 0) + i * t.l.width, width, t.keys + to);
    std::copy_n(t.qkv + t.l.v_at(b, 0) + i * t.l.width, width, t.values + to);
  }
}

// Query i of head (b, h) against positions [0, past + i]; scores has room for them.
template <typename T>
void decode_query(const DecodeTask<T>& t, int64_t b, int64_t h, int64_t i, T* scores) {
  const Layout<T>& l = t.l;
  const int64_t seen = t.past + i + 1;
  const int64_t width = t.cache_width();
  const int64_t cache = b * t.capacity * width + h / l.group() * l.dim;
  const T* q = t.qkv + l.q_at(b, h) + i * l.width;
  const T scale = l.scale;
  for (int64_t j = 0; j < seen; ++j) {
    const T* k = t.keys + cache + j * width;
    scores[j] = HostTeam().sum<T>(l.dim, [=](int64_t d) WEFT_LANE { return q[d] * scale * k[d]; });
  }
  const T top = HostTeam().max<T>(seen, [=](int64_t j) WEFT_LANE { return scores[j]; });
  HostTeam().for_each(seen,
                      [=](int64_t j) WEFT_LANE { scores[j] = kernels::exp(scores[j] - top); });
  const T factor = T(1) / HostTeam().sum<T>(seen, [=](int64_t j) WEFT_LANE { return scores[j]; });
  T* out = t.out + l.out_at(b, h) + i * l.out_row();
  std::fill_n(out, l.dim, T(0));
  for (int64_t j = 0; j < seen; ++j) {
    const T* v = t.values + cache + j * width;
    const T p = scores[j] * factor;
    HostTeam().for_each(l.dim, [=](int64_t d) WEFT_LANE { out[d] += p * v[d]; });
  }
}

}  // namespace

void CpuOps::attention_forward(const AttentionArgs& args, const Tensor& qkv, const Tensor& out,
                               const Tensor& lse, Stream& stream) {
  check_attention_forward(args, qkv, out, lse);
  detail::with_float(qkv.dtype(), [&](auto zero) {
    using T = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    cpu.run([threads = cpu.threads(), scratch = &scratch_, l = Layout<T>(args, qkv),
             from = qkv.data<T>(), to = out.data<T>(), sums = detail::optional_data<T>(lse)] {
      const int64_t size = tile::padded<T>(ForwardSpace<T>::size(l));
      T* memory = scratch->get<T>(size * threads);
      parallel_tasks(threads, l.batch * l.heads, [&](int64_t task, int64_t thread) {
        const ForwardSpace<T> space(l, memory + thread * size);
        forward_head(l, space, task / l.heads, task % l.heads, from, to, sums);
      });
    });
  });
}

void CpuOps::attention_backward(const AttentionArgs& args, const Tensor& dout, const Tensor& qkv,
                                const Tensor& out, const Tensor& lse, const Tensor& dqkv,
                                Stream& stream) {
  check_attention_backward(args, dout, qkv, out, lse, dqkv);
  detail::with_float(qkv.dtype(), [&](auto zero) {
    using T = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    const BackwardTask<T> t{Layout<T>(args, qkv), dout.data<T>(), qkv.data<T>(),
                            out.data<T>(),        lse.data<T>(),  dqkv.data<T>()};
    cpu.run([threads = cpu.threads(), scratch = &scratch_, t] {
      const Layout<T>& l = t.l;
      const int64_t size = tile::padded<T>(BackwardSpace<T>::size(l));
      T* memory = scratch->get<T>(size * threads);
      parallel_tasks(threads, l.batch * l.kv_heads, [&](int64_t task, int64_t thread) {
        const BackwardSpace<T> space(l, memory + thread * size);
        backward_group(t, space, task / l.kv_heads, task % l.kv_heads);
      });
    });
  });
}

void CpuOps::attention_decode(const AttentionArgs& args, const Tensor& qkv, int64_t past,
                              const Tensor& k_cache, const Tensor& v_cache, const Tensor& out,
                              Stream& stream) {
  check_attention_decode(args, qkv, past, k_cache, v_cache, out);
  detail::with_float(qkv.dtype(), [&](auto zero) {
    using T = decltype(zero);
    CpuStream& cpu = cpu_stream(stream);
    const DecodeTask<T> t{
        Layout<T>(args, qkv), past,         k_cache.shape()[1], qkv.data<T>(), k_cache.data<T>(),
        v_cache.data<T>(),    out.data<T>()};
    cpu.run([threads = cpu.threads(), scratch = &scratch_, t] {
      const Layout<T>& l = t.l;
      T* scores = scratch->get<T>(t.capacity * threads);
      parallel_tasks(threads, l.batch, [&](int64_t b, int64_t) { store_keys_and_values(t, b); });
      parallel_tasks(threads, l.batch * l.heads, [&](int64_t task, int64_t thread) {
        for (int64_t i = 0; i < l.length; ++i) {
          decode_query(t, task / l.heads, task % l.heads, i, scores + thread * t.capacity);
        }
      });
    });
  });
}

}  // namespace weft
