#include "core/ops/attention.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/expect.h"

namespace weft {
namespace {

void check_heads(const OpName& op, const AttentionSpec& spec, const Tensor& qkv,
                 const Tensor& out) {
  WEFT_CHECK(spec.heads >= 1 && spec.kv_heads >= 1 && spec.heads % spec.kv_heads == 0 &&
                 spec.head_dim >= 1,
             "{}: {} heads over {} kv heads of {}", op.text, spec.heads, spec.kv_heads,
             spec.head_dim);
  WEFT_CHECK(spec.dropout >= 0 && spec.dropout < 1, "{}: dropout {}", op.text, spec.dropout);
  expect_float(op, "qkv", qkv);
  const int64_t width = (spec.heads + 2 * spec.kv_heads) * spec.head_dim;
  WEFT_CHECK(qkv.shape().rank() == 3 && qkv.shape().back() == width,
             "{}: qkv is {} where [B, T, {}] is needed", op.text, to_string(qkv), width);
  expect_matrix(op, "out", out, qkv.shape().rows(), spec.heads * spec.head_dim, qkv.dtype());
}

void check_keys(const OpName& op, const AttentionSpec& spec, const Tensor& qkv, const Tensor& kv) {
  const int64_t width = 2 * spec.kv_heads * spec.head_dim;
  WEFT_CHECK(kv.shape().rank() == 3 && kv.shape()[0] == qkv.shape()[0] &&
                 kv.shape().back() >= width && kv.dtype() == qkv.dtype(),
             "{}: kv is {} where [{}, T, >= {}] is needed", op.text, to_string(kv), qkv.shape()[0],
             width);
  expect_tokens(op, spec.queries, qkv.shape()[1]);
  expect_tokens(op, spec.keys, kv.shape()[1]);
  WEFT_CHECK(spec.merge || spec.keys.first <= spec.queries.first,
             "{}: query {} sees no key, the first is {}", op.text, spec.queries.first,
             spec.keys.first);
}

// Pairs of a query and a key that it sees, of one head and sample.
int64_t visible_pairs(const TokenShare& queries, const TokenShare& keys) {
  int64_t pairs = 0;
  for (int64_t i = 0; i < queries.count; ++i) {
    const int64_t behind = queries.at(i) + 1;
    pairs += std::clamp<int64_t>(behind - keys.first, 0, keys.run) +
             std::clamp<int64_t>(behind - keys.second, 0, keys.count - keys.run);
  }
  return pairs;
}

// `products` of q and k or of probabilities and v, over the heads of all samples.
Cost of_products(int products, int64_t pairs, const AttentionSpec& spec, int64_t samples) {
  return {.flops = 2.0 * products * static_cast<double>(pairs) *
                   static_cast<double>(samples * spec.heads * spec.head_dim)};
}

}  // namespace

void op::AttentionForward::check() const {
  check_heads(kName, spec, qkv, out);
  check_keys(kName, spec, qkv, kv);
  WEFT_CHECK(present(lse) || !spec.merge, "{}: nothing to merge with without lse", kName.text);
  expect_optional(kName, "lse", lse, qkv.shape().rows() * spec.heads, accumulator(qkv.dtype()));
}

Cost op::AttentionForward::cost() const {
  return of_products(2, visible_pairs(spec.queries, spec.keys), spec, qkv.shape()[0]);
}

void op::AttentionBackward::check() const {
  check_heads(kName, spec, qkv, out);
  check_keys(kName, spec, qkv, kv);
  expect_count(kName, "dout", dout, out.elements(), out.dtype());
  expect_count(kName, "lse", lse, qkv.shape().rows() * spec.heads, accumulator(qkv.dtype()));
  expect_count(kName, "dqkv", dqkv, qkv.elements(), qkv.dtype());
  expect_matrix(kName, "dkv", dkv, kv.shape().rows(), kv.shape().back(), qkv.dtype());
}

Cost op::AttentionBackward::cost() const {
  return of_products(5, visible_pairs(spec.queries, spec.keys), spec, qkv.shape()[0]);
}

void op::AttentionDecode::check() const {
  check_heads(kName, spec, qkv, out);
  WEFT_CHECK(spec.dropout == 0, "attention_decode: dropout {} in generation", spec.dropout);
  WEFT_CHECK(k_cache.shape().rank() == 3 && k_cache.shape() == v_cache.shape() &&
                 k_cache.shape()[0] == qkv.shape()[0] &&
                 k_cache.shape().back() == spec.kv_heads * spec.head_dim &&
                 k_cache.dtype() == qkv.dtype() && v_cache.dtype() == qkv.dtype(),
             "attention_decode: caches are {} and {}", to_string(k_cache), to_string(v_cache));
  WEFT_CHECK(past >= 0 && past + qkv.shape()[1] <= k_cache.shape()[1],
             "attention_decode: positions [{}, {}) do not fit a cache of {}", past,
             past + qkv.shape()[1], k_cache.shape()[1]);
}

Cost op::AttentionDecode::cost() const {
  const int64_t tokens = qkv.shape()[1];
  return of_products(2, tokens * past + tokens * (tokens + 1) / 2, spec, qkv.shape()[0]);
}

}  // namespace weft
