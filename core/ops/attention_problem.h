// AttentionProblem: where heads and rows of one attention call lie, for kernels. The meaning of
// every number is that of AttentionSpec in core/ops/attention.h.
#pragma once

#include <cstdint>

#include "core/kernels/random_words.h"
#include "core/ops/token_share.h"

namespace weft {

// Functions marked WEFT_KERNEL run on both sides.

struct AttentionProblem {
  int64_t batch, heads, kv_heads, dim;
  int64_t q_width;   // elements of a row of qkv
  int64_t kv_width;  // and of kv
  float scale;
  bool merge;
  TokenShare queries, keys;
  // Dropout; off if keep_factor is 0.
  float keep_factor;   // 1 / (1 - p)
  uint32_t threshold;  // the smallest random word that is kept
  RandomKey key;
  int64_t first_sample, first_head, global_heads;

  WEFT_KERNEL int64_t out_width() const { return heads * dim; }
  // Element of row 0 of a sample's head.
  WEFT_KERNEL int64_t q_at(int64_t b, int64_t h) const {
    return b * queries.count * q_width + h * dim;
  }
  WEFT_KERNEL int64_t k_at(int64_t b, int64_t kv) const {
    return (b * keys.count + 1) * kv_width - (2 * kv_heads - kv) * dim;
  }
  WEFT_KERNEL int64_t v_at(int64_t b, int64_t kv) const { return k_at(b, kv) + kv_heads * dim; }
  WEFT_KERNEL int64_t out_at(int64_t b, int64_t h) const {
    return b * queries.count * out_width() + h * dim;
  }
  WEFT_KERNEL int64_t lse_at(int64_t b, int64_t h) const { return (b * heads + h) * queries.count; }
  WEFT_KERNEL int64_t kv_head(int64_t h) const { return h / (heads / kv_heads); }

  // Whether local query i sees local key j.
  WEFT_KERNEL bool sees(int64_t i, int64_t j) const {
    return j < keys.count && keys.at(j) <= queries.at(i);
  }
  // What probability (b, h, i, j) of local tokens is multiplied by.
  WEFT_KERNEL float dropout(int64_t b, int64_t h, int64_t i, int64_t j) const {
    const int64_t head = (first_sample + b) * global_heads + first_head + h;
    const int64_t element = (head * queries.length + queries.at(i)) * queries.length + keys.at(j);
    return kernels::word_at(key, static_cast<uint64_t>(element)) >= threshold ? keep_factor : 0.0f;
  }
};

}  // namespace weft
