#include "core/ops/check.h"

#include "core/base/error.h"

namespace weft {
namespace {

// t is a matrix of `rows` x `columns` of type `dtype`, leading dims taken together.
void expect_matrix(const char* op, const char* what, const Tensor& t, int64_t rows, int64_t columns,
                   DType dtype) {
  WEFT_CHECK(t.shape().rank() >= 1 && t.shape().rows() == rows && t.shape().back() == columns,
             "{}: {} is {} where [{}, {}] is needed", op, what, to_string(t), rows, columns);
  WEFT_CHECK(t.dtype() == dtype, "{}: {} is {} where {} is needed", op, what, to_string(t),
             name(dtype));
}

// t has `count` elements of type `dtype`, in any shape.
void expect_count(const char* op, const char* what, const Tensor& t, int64_t count, DType dtype) {
  WEFT_CHECK(t.shape().rank() >= 1 && t.elements() == count && t.dtype() == dtype,
             "{}: {} is {} where {} elements of {} are needed", op, what, to_string(t), count,
             name(dtype));
}

void expect_float(const char* op, const char* what, const Tensor& t) {
  const DType d = t.dtype();
  const bool is_float = d == DType::f32 || d == DType::f64 || d == DType::bf16 || d == DType::f16;
  WEFT_CHECK(t.shape().rank() >= 1 && is_float,
             "{}: {} is {} where f32, f64, bf16 or f16 is needed", op, what, to_string(t));
}

// `share` says which the `count` local tokens are.
void check_token_share(const char* op, const TokenShare& share, int64_t count) {
  const int64_t second_run = share.count - share.run;
  const int64_t begin = second_run > 0 ? share.second : share.first + share.run;
  WEFT_CHECK(share.count == count && share.run >= 1 && second_run >= 0 && share.first >= 0 &&
                 begin >= share.first + share.run,
             "{}: {} tokens, {} at {} and {} at {}, for {}", op, share.count, share.run,
             share.first, second_run, share.second, count);
}

int64_t packed_width(const AttentionArgs& args) {
  return (args.heads + 2 * args.kv_heads) * args.head_dim;
}

void check_attention(const AttentionArgs& args, const Tensor& qkv, const Tensor& out) {
  WEFT_CHECK(args.heads >= 1 && args.kv_heads >= 1 && args.heads % args.kv_heads == 0 &&
                 args.head_dim >= 1,
             "attention: {} heads over {} kv heads of {}", args.heads, args.kv_heads,
             args.head_dim);
  WEFT_CHECK(args.dropout >= 0 && args.dropout < 1, "attention: dropout {}", args.dropout);
  expect_float("attention", "qkv", qkv);
  WEFT_CHECK(qkv.shape().rank() == 3 && qkv.shape().back() == packed_width(args),
             "attention: qkv is {} where [B, T, {}] is needed", to_string(qkv), packed_width(args));
  expect_matrix("attention", "out", out, qkv.shape().rows(), args.heads * args.head_dim,
                qkv.dtype());
}

void check_attention_keys(const AttentionArgs& args, const Tensor& qkv, const Tensor& kv) {
  const int64_t width = 2 * args.kv_heads * args.head_dim;
  WEFT_CHECK(kv.shape().rank() == 3 && kv.shape()[0] == qkv.shape()[0] &&
                 kv.shape().back() >= width && kv.dtype() == qkv.dtype(),
             "attention: kv is {} where [{}, T, >= {}] is needed", to_string(kv), qkv.shape()[0],
             width);
  check_token_share("attention", args.queries, qkv.shape()[1]);
  check_token_share("attention", args.keys, kv.shape()[1]);
  WEFT_CHECK(args.merge || args.keys.first <= args.queries.first,
             "attention: query {} sees no key, the first is {}", args.queries.first,
             args.keys.first);
}

}  // namespace

void check_attention_forward(const AttentionArgs& args, const Tensor& qkv, const Tensor& kv,
                             const Tensor& out, const Tensor& lse) {
  check_attention(args, qkv, out);
  check_attention_keys(args, qkv, kv);
  WEFT_CHECK(present(lse) || !args.merge, "attention: nothing to merge with without lse");
  if (present(lse)) {
    expect_count("attention", "lse", lse, qkv.shape().rows() * args.heads,
                 accumulator(qkv.dtype()));
  }
}

void check_attention_backward(const AttentionArgs& args, const Tensor& dout, const Tensor& qkv,
                              const Tensor& kv, const Tensor& out, const Tensor& lse,
                              const Tensor& dqkv, const Tensor& dkv) {
  check_attention(args, qkv, out);
  check_attention_keys(args, qkv, kv);
  expect_count("attention", "dout", dout, out.elements(), out.dtype());
  expect_count("attention", "lse", lse, qkv.shape().rows() * args.heads, accumulator(qkv.dtype()));
  expect_count("attention", "dqkv", dqkv, qkv.elements(), qkv.dtype());
  expect_matrix("attention", "dkv", dkv, kv.shape().rows(), kv.shape().back(), qkv.dtype());
}

void check_attention_decode(const AttentionArgs& args, const Tensor& qkv, int64_t past,
                            const Tensor& k_cache, const Tensor& v_cache, const Tensor& out) {
  check_attention(args, qkv, out);
  WEFT_CHECK(args.dropout == 0, "attention_decode: dropout {} in generation", args.dropout);
  const int64_t batch = qkv.shape()[0];
  WEFT_CHECK(k_cache.shape().rank() == 3 && k_cache.shape() == v_cache.shape() &&
                 k_cache.shape()[0] == batch &&
                 k_cache.shape().back() == args.kv_heads * args.head_dim &&
                 k_cache.dtype() == qkv.dtype() && v_cache.dtype() == qkv.dtype(),
             "attention_decode: caches are {} and {}", to_string(k_cache), to_string(v_cache));
  WEFT_CHECK(past >= 0 && past + qkv.shape()[1] <= k_cache.shape()[1],
             "attention_decode: positions [{}, {}) do not fit a cache of {}", past,
             past + qkv.shape()[1], k_cache.shape()[1]);
}

void check_dropout(const DropoutArgs& args, const Tensor& x, const Tensor& y) {
  expect_float("dropout", "x", x);
  expect_count("dropout", "y", y, x.elements(), x.dtype());
  WEFT_CHECK(args.p >= 0 && args.p < 1, "dropout: probability {}", args.p);
  check_token_share("dropout", args.rows.tokens, args.rows.tokens.count);
  WEFT_CHECK(args.first_column >= 0 && args.first_column + x.shape().back() <= args.global_columns,
             "dropout: columns [{}, {}) of {}", args.first_column,
             args.first_column + x.shape().back(), args.global_columns);
}

void check_add(const Tensor& a, const Tensor& b, const Tensor& y) {
  expect_float("add", "a", a);
  expect_count("add", "b", b, a.elements(), a.dtype());
  expect_count("add", "y", y, a.elements(), a.dtype());
}

void check_float(const Tensor& x) { expect_float("scale", "x", x); }

void check_copy(const Tensor& from, const Tensor& to) {
  WEFT_CHECK(from.elements() == to.elements(), "copy: {} to {}", to_string(from), to_string(to));
}

void check_copy_last_columns(const Tensor& from, const Tensor& to) {
  WEFT_CHECK(from.shape().rank() >= 1 && to.shape().rank() >= 1 &&
                 from.shape().rows() == to.shape().rows() && from.dtype() == to.dtype(),
             "copy_last_columns: {} to {}", to_string(from), to_string(to));
}

void check_copy_stochastic(const Tensor& from, const Tensor& to, const ElementMap& elements) {
  expect_count("copy_stochastic", "from", from, from.elements(), DType::f32);
  expect_count("copy_stochastic", "to", to, from.elements(), DType::bf16);
  expect_elements({"copy_stochastic", OpFamily::elementwise}, elements);
}

}  // namespace weft
