// AttentionLayout: where heads, rows and gradients of one attention call lie in memory; shared by
// training and decoding.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "core/ops/attention.h"

namespace weft {

// Rows of qkv are [q heads | k heads | v heads]; rows of kv end with [k heads | v heads].
template <typename T>
struct AttentionLayout {
  int64_t batch, heads, kv_heads, dim;
  int64_t kv_width;  // of a row of kv
  T scale;
  bool merge;
  double dropout;
  RandomKey key;
  int64_t first_sample, first_head, global_heads;
  TokenShare queries, keys;

  AttentionLayout(const AttentionSpec& spec, const Tensor& qkv, const Tensor& kv)
      : batch(qkv.shape()[0]),
        heads(spec.heads),
        kv_heads(spec.kv_heads),
        dim(spec.head_dim),
        kv_width(kv.shape().back()),
        scale(static_cast<T>(spec.scale)),
        merge(spec.merge),
        dropout(spec.dropout),
        key(spec.dropout_key),
        first_sample(spec.first_sample),
        first_head(spec.first_head),
        global_heads(spec.global_heads > 0 ? spec.global_heads : spec.heads),
        queries(spec.queries),
        keys(spec.keys) {}

  int64_t group() const { return heads / kv_heads; }
  int64_t q_width() const { return (heads + 2 * kv_heads) * dim; }  // of a row of qkv
  int64_t out_width() const { return heads * dim; }
  // Element of row 0 of a sample's head.
  int64_t q_at(int64_t b, int64_t h) const { return b * queries.count * q_width() + h * dim; }
  int64_t k_at(int64_t b, int64_t kv) const {
    return (b * keys.count + 1) * kv_width - (2 * kv_heads - kv) * dim;
  }
  int64_t v_at(int64_t b, int64_t kv) const { return k_at(b, kv) + kv_heads * dim; }
  int64_t out_at(int64_t b, int64_t h) const { return b * queries.count * out_width() + h * dim; }
  int64_t lse_at(int64_t b, int64_t h) const { return (b * heads + h) * queries.count; }
  // The element of the dropout key for global query i and global key j.
  uint64_t mask_at(int64_t b, int64_t h, int64_t i, int64_t j) const {
    const int64_t head = (first_sample + b) * global_heads + first_head + h;
    return static_cast<uint64_t>((head * queries.length + i) * queries.length + j);
  }
};

// Calls body(task, thread) for every task in [0, count), each taken by whichever thread is free.
template <typename Body>
void parallel_tasks(int threads, int64_t count, const Body& body) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads) if (threads > 1 && count > 1)
  for (int64_t task = 0; task < count; ++task) body(task, int64_t{omp_get_thread_num()});
}

}  // namespace weft
