// Causal attention without a T x T matrix (Dao et al., arXiv 2205.14135): queries and keys are
// taken in blocks, and the softmax is kept as a running maximum and sum, which may begin with what
// earlier blocks of keys left in out and lse. Work is cut by (sample, head): no result depends on
// the threads.
#include <cmath>

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

// Working memory of one thread.
template <typename T>
struct ForwardSpace {
  int64_t width;               // of padded rows
  T *keys, *values;            // of the whole head: transposed blocks, padded rows
  T *queries, *scores, *sums;  // of one block of queries
  T *top, *total;              // of its rows: running maximum and sum

  static int64_t size(const Layout<T>& l) {
    const int64_t padded = tile::padded<T>(l.dim);
    return blocks_of(l.keys) * kBlock * (l.dim + padded) + kBlock * (2 * padded + kBlock + 2);
  }
  ForwardSpace(const Layout<T>& l, T* memory) : width(tile::padded<T>(l.dim)) {
    Pieces<T> pieces(memory);
    keys = pieces.take(blocks_of(l.keys) * kBlock * l.dim);
    values = pieces.take(blocks_of(l.keys) * kBlock * width);
    queries = pieces.take(kBlock * width);
    scores = pieces.take(kBlock * kBlock);
    sums = pieces.take(kBlock * width);
    top = pieces.take(kBlock);
    total = pieces.take(kBlock);
  }
};

// Turns row i of the scores, of which [0, visible) are seen, into probabilities relative to the new
// running maximum; rescales what was summed before.
template <typename T>
void online_softmax_row(const ForwardSpace<T>& s, int64_t i, int64_t visible) {
  T* row = s.scores + i * kBlock;
  if (visible == 0) {
    std::fill_n(row, kBlock, T(0));
    return;
  }
  const T block_top = HostTeam().max<T>(visible, [=](int64_t j) WEFT_LANE { return row[j]; });
  const T top = s.top[i] > block_top ? s.top[i] : block_top;
  HostTeam().for_each(visible, [=](int64_t j) WEFT_LANE { row[j] = kernels::exp(row[j] - top); });
  for (int64_t j = visible; j < kBlock; ++j) row[j] = T(0);
  const T sum = HostTeam().sum<T>(kBlock, [=](int64_t j) WEFT_LANE { return row[j]; });
  const T fade = kernels::exp(s.top[i] - top);
  s.total[i] = s.total[i] * fade + sum;
  s.top[i] = top;
  if (fade != T(1)) {
    T* out = s.sums + i * s.width;
    HostTeam().for_each(s.width, [=](int64_t d) WEFT_LANE { out[d] *= fade; });
  }
}

// Before the first key; or, when other blocks of keys came before, the softmax of those.
template <typename S, typename T>
void begin_rows(const Layout<T>& l, const ForwardSpace<T>& s, int64_t rows, const S* out,
                const T* lse) {
  if (l.merge) {
    pack_rows(rows, l.dim, s.width, out, l.out_width(), T(1), s.sums);
    std::copy_n(lse, rows, s.top);
    std::fill_n(s.total, rows, T(1));
  } else {
    std::fill_n(s.sums, kBlock * s.width, T(0));
    std::fill_n(s.top, kBlock, -std::numeric_limits<T>::infinity());
    std::fill_n(s.total, kBlock, T(0));
  }
}

// One block of queries of head (b, h) against all keys it may see.
template <typename T>
void forward_block(const Layout<T>& l, const ForwardSpace<T>& s, int64_t b, int64_t h,
                   const Block& query) {
  const int64_t rows = query.rows;
  const Matrix<const T> queries{s.queries, s.width};
  const Matrix<const T> weights{s.scores, kBlock};
  const Matrix<T> scores{s.scores, kBlock};
  const Matrix<T> sums{s.sums, s.width};
  for (int64_t k = 0; k < blocks_of(l.keys); ++k) {
    const Block key = block_of(l.keys, k);
    if (hidden(query, key)) break;
    const bool diagonal = on_diagonal(query, key);
    const Matrix<const T> keys{s.keys + k * kBlock * l.dim, kBlock};
    const Matrix<const T> values{s.values + k * kBlock * s.width, s.width};
    if (diagonal) {
      multiply<Part::columns_to_row>(rows, kBlock, l.dim, queries, keys, scores, false);
    } else {
      multiply(rows, kBlock, l.dim, queries, keys, scores, false);
    }
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t visible = visible_keys(query, i, key);
      online_softmax_row(s, i, visible);
      if (l.dropout > 0) {
        T* row = s.scores + i * kBlock;
        drop(l, b, h, query.global + i, key.global, visible, row, row);
      }
    }
    if (diagonal) {
      multiply<Part::depth_to_row>(rows, s.width, std::min(rows, key.rows), weights, values, sums,
                                   true);
    } else {
      multiply(rows, s.width, key.rows, weights, values, sums, true);
    }
  }
}

// T is the arithmetic type of S.
template <typename S, typename T>
struct ForwardTask {
  Layout<T> l;
  const S *qkv, *kv;
  S* out;
  T* lse;  // may be null
};

template <typename S, typename T>
void forward_head(const ForwardTask<S, T>& t, const ForwardSpace<T>& s, int64_t b, int64_t h) {
  const Layout<T>& l = t.l;
  const int64_t group = h / l.group();
  for (int64_t k = 0; k < seen_key_blocks(l); ++k) {
    const Block key = block_of(l.keys, k);
    const int64_t row = key.local * l.kv_width;
    pack_transposed(key.rows, l.dim, t.kv + l.k_at(b, group) + row, l.kv_width,
                    s.keys + k * kBlock * l.dim);
    pack_rows(key.rows, l.dim, s.width, t.kv + l.v_at(b, group) + row, l.kv_width, T(1),
              s.values + k * kBlock * s.width);
  }
  for (int64_t i = first_seeing_block(l); i < blocks_of(l.queries); ++i) {
    const Block query = block_of(l.queries, i);
    S* out = t.out + l.out_at(b, h) + query.local * l.out_width();
    T* lse = t.lse == nullptr ? nullptr : t.lse + l.lse_at(b, h) + query.local;
    pack_rows(query.rows, l.dim, s.width, t.qkv + l.q_at(b, h) + query.local * l.q_width(),
              l.q_width(), l.scale, s.queries);
    begin_rows(l, s, query.rows, out, lse);
    forward_block(l, s, b, h, query);
    for (int64_t r = 0; r < query.rows; ++r) {
      unpack_rows(1, l.dim, s.width, s.sums + r * s.width, T(1) / s.total[r],
                  out + r * l.out_width(), 0);
      if (lse != nullptr) lse[r] = s.top[r] + std::log(s.total[r]);
    }
  }
}

}  // namespace

size_t detail::attention_bytes(const op::AttentionForward& args, int threads) {
  size_t bytes = 0;
  with_float(args.qkv.dtype(), [&](auto zero) {
    using T = kernels::Arithmetic<decltype(zero)>;
    const auto elements =
        tile::padded<T>(ForwardSpace<T>::size(Layout<T>(args.spec, args.qkv, args.kv)));
    bytes = static_cast<size_t>(elements * threads) * sizeof(T);
  });
  return bytes;
}

void CpuOps::run(const op::AttentionForward& args, Stream& stream) {
  detail::with_float(args.qkv.dtype(), [&](auto zero) {
    using S = decltype(zero);
    using T = kernels::Arithmetic<S>;
    CpuStream& cpu = cpu_stream(stream);
    const ForwardTask<S, T> t{Layout<T>(args.spec, args.qkv, args.kv), args.qkv.data<S>(),
                              args.kv.data<S>(), args.out.data<S>(),
                              detail::optional_data<T>(args.lse)};
    cpu.run([threads = cpu.threads(), scratch = &scratch_, t] {
      const int64_t size = tile::padded<T>(ForwardSpace<T>::size(t.l));
      T* memory = scratch->get<T>(size * threads);
      parallel_tasks(threads, t.l.batch * t.l.heads, [&](int64_t task, int64_t thread) {
        const ForwardSpace<T> space(t.l, memory + thread * size);
        forward_head(t, space, task / t.l.heads, task % t.l.heads);
      });
    });
  });
}

}  // namespace weft
