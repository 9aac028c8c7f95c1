#include "core/ops/check.h"

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

// Of a type that sums are kept in.
void expect_sums(const char* op, const char* what, const Tensor& t) {
  WEFT_CHECK(t.shape().rank() >= 1 && (t.dtype() == DType::f32 || t.dtype() == DType::f64),
             "{}: {} is {} where f32 or f64 is needed", op, what, to_string(t));
}

bool present(const Tensor& t) { return t.shape().rank() > 0; }

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

// table and positions are of `dtype`.
void check_embedding(const Tensor& tokens, const Tensor& table, const Tensor& positions,
                     const TokenShare& places, const Tensor& rows, DType dtype) {
  WEFT_CHECK(tokens.shape().rank() == 2 && tokens.dtype() == DType::i32,
             "embedding: tokens are {} where i32[B, T] is needed", to_string(tokens));
  expect_float("embedding", "rows", rows);
  const int64_t columns = table.shape().back();
  expect_matrix("embedding", "table", table, table.shape().rows(), columns, dtype);
  expect_matrix("embedding", "rows", rows, tokens.elements(), columns, rows.dtype());
  if (!present(positions)) return;
  expect_matrix("embedding", "positions", positions, positions.shape().rows(), columns, dtype);
  check_token_share("embedding", places, tokens.shape().back());
  WEFT_CHECK(places.last() < positions.shape().rows(), "embedding: position {} is not in {}",
             places.last(), to_string(positions));
}

void check_elements(const char* op, const ElementMap& elements) {
  WEFT_CHECK(elements.first >= 0 && elements.columns >= 1 && elements.stride >= elements.columns,
             "{}: rows of {} elements, {} apart, from {}", op, elements.columns, elements.stride,
             elements.first);
}

}  // namespace

void check_matmul(const MatmulArgs& args) {
  expect_float("matmul", "a", args.a);
  expect_float("matmul", "b", args.b);
  const int64_t m = args.m(), n = args.n(), k = args.k();
  const DType dtype = args.a.dtype();
  expect_matrix("matmul", "b", args.b, args.transpose_b ? n : k, args.transpose_b ? k : n, dtype);
  const int64_t a_rows = args.transpose_a ? k : m, a_columns = args.transpose_a ? m : k;
  const int64_t a_width = args.a.shape().back(), c_width = args.c.shape().back();
  WEFT_CHECK(args.a.shape().rows() == a_rows && a_width >= a_columns && c_width >= n,
             "matmul: {}{} by {}{} gives no {}", to_string(args.a),
             args.transpose_a ? " transposed" : "", to_string(args.b),
             args.transpose_b ? " transposed" : "", to_string(args.c));
  const bool sums = args.c.dtype() == accumulator(dtype);  // of A, which may be T itself
  expect_matrix("matmul", "c", args.c, m, c_width, sums ? accumulator(dtype) : dtype);
  if (present(args.bias)) expect_count("matmul", "bias", args.bias, n, dtype);
  if (present(args.pre_activation)) {
    expect_matrix("matmul", "pre_activation", args.pre_activation, m, n, dtype);
  }
  const bool gradient = args.activation_gradient != Activation::none;
  if (gradient) expect_matrix("matmul", "activation_input", args.activation_input, m, n, dtype);
  const bool epilogue = present(args.bias) || present(args.pre_activation) ||
                        args.activation != Activation::none || gradient;
  WEFT_CHECK(!epilogue || (!args.accumulate && args.c.dtype() == dtype),
             "matmul: accumulate and a c of {} leave no room for an epilogue",
             name(args.c.dtype()));
  WEFT_CHECK((a_width == a_columns && c_width == n) || (!epilogue && !present(args.bias_gradient)),
             "matmul: more than [{}, {}] and [{}, {}] leaves no room for an epilogue", a_rows,
             a_columns, m, n);
  if (!present(args.bias_gradient)) return;
  expect_count("matmul", "bias_gradient", args.bias_gradient, m, accumulator(dtype));
  WEFT_CHECK(args.transpose_a && sums && !epilogue,
             "matmul: the gradient of a bias comes with that of its weight, not with a c of {}{}",
             name(args.c.dtype()), epilogue ? " and an epilogue" : "");
}

void check_norm_forward(const NormForwardArgs& args) {
  expect_float("norm_forward", "x", args.x);
  const int64_t rows = args.x.shape().rows();
  const int64_t columns = args.x.shape().back();
  const DType dtype = args.x.dtype();
  WEFT_CHECK(present(args.residual) == present(args.sum),
             "norm_forward: residual and sum come together");
  if (present(args.residual)) {
    expect_matrix("norm_forward", "residual", args.residual, rows, columns, dtype);
    expect_matrix("norm_forward", "sum", args.sum, rows, columns, dtype);
  }
  expect_count("norm_forward", "weight", args.weight, columns, dtype);
  if (present(args.bias)) expect_count("norm_forward", "bias", args.bias, columns, dtype);
  expect_matrix("norm_forward", "y", args.y, rows, columns, dtype);
  expect_count("norm_forward", "mean", args.mean, rows, accumulator(dtype));
  expect_count("norm_forward", "rstd", args.rstd, rows, accumulator(dtype));
}

void check_norm_backward(const NormBackwardArgs& args) {
  expect_float("norm_backward", "x", args.x);
  const int64_t rows = args.x.shape().rows();
  const int64_t columns = args.x.shape().back();
  const DType dtype = args.x.dtype();
  expect_matrix("norm_backward", "dy", args.dy, rows, columns, dtype);
  expect_matrix("norm_backward", "dx", args.dx, rows, columns, dtype);
  expect_count("norm_backward", "weight", args.weight, columns, dtype);
  const DType sums = accumulator(dtype);
  expect_count("norm_backward", "mean", args.mean, rows, sums);
  expect_count("norm_backward", "rstd", args.rstd, rows, sums);
  expect_count("norm_backward", "dweight", args.dweight, columns, sums);
  if (present(args.dbias)) expect_count("norm_backward", "dbias", args.dbias, columns, sums);
}

void check_embedding_forward(const Tensor& tokens, const Tensor& table, const Tensor& positions,
                             const TokenShare& places, const Tensor& y) {
  check_embedding(tokens, table, positions, places, y, y.dtype());
}

void check_embedding_backward(const Tensor& tokens, const Tensor& dtable, const Tensor& dpositions,
                              const TokenShare& places, const Tensor& dy) {
  check_embedding(tokens, dtable, dpositions, places, dy, accumulator(dy.dtype()));
}

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

void check_softmax_stats(const Tensor& logits, const Tensor& targets, int64_t valid,
                         const Tensor& row_max, const Tensor& row_sum, const Tensor& target_logit) {
  check_cross_entropy_backward(logits, targets, valid, row_max, row_sum, {});
  expect_count("softmax_stats", "target_logit", target_logit, logits.shape().rows(),
               accumulator(logits.dtype()));
}

void check_rescale_sums(const Tensor& sum, const Tensor& from, const Tensor& to) {
  expect_sums("rescale_sums", "sum", sum);
  expect_count("rescale_sums", "from", from, sum.elements(), sum.dtype());
  expect_count("rescale_sums", "to", to, sum.elements(), sum.dtype());
}

void check_cross_entropy_loss(const Tensor& targets, const Tensor& row_max, const Tensor& row_sum,
                              const Tensor& target_logit, const Tensor& loss_sum) {
  const int64_t rows = targets.elements();
  expect_sums("cross_entropy_loss", "row_max", row_max);
  expect_count("cross_entropy_loss", "targets", targets, rows, DType::i32);
  expect_count("cross_entropy_loss", "row_max", row_max, rows, row_max.dtype());
  expect_count("cross_entropy_loss", "row_sum", row_sum, rows, row_max.dtype());
  expect_count("cross_entropy_loss", "target_logit", target_logit, rows, row_max.dtype());
  expect_count("cross_entropy_loss", "loss_sum", loss_sum, 1, DType::f64);
}

void check_cross_entropy_backward(const Tensor& logits, const Tensor& targets, int64_t valid,
                                  const Tensor& row_max, const Tensor& row_sum,
                                  const Tensor& loss_scale) {
  expect_float("cross_entropy", "logits", logits);
  const int64_t rows = logits.shape().rows();
  WEFT_CHECK(valid >= 0 && valid <= logits.shape().back(), "cross_entropy: {} valid columns of {}",
             valid, to_string(logits));
  expect_count("cross_entropy", "targets", targets, rows, DType::i32);
  expect_count("cross_entropy", "row_max", row_max, rows, accumulator(logits.dtype()));
  expect_count("cross_entropy", "row_sum", row_sum, rows, accumulator(logits.dtype()));
  if (present(loss_scale)) {
    expect_count("cross_entropy", "loss_scale", loss_scale, 1, DType::f32);
  }
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
  check_elements("copy_stochastic", elements);
}

void check_adamw(const AdamWArgs& args, std::span<const AdamWTensor> tensors) {
  expect_count("adamw", "grad_scale", args.grad_scale, 1, DType::f32);
  expect_count("adamw", "update", args.update, 1, DType::i64);
  WEFT_CHECK(!tensors.empty(), "adamw: no tensors");
  const DType moment = tensors.front().exp_avg.dtype() == DType::bf16 ? DType::bf16 : DType::f32;
  const Tensor& copy = tensors.front().rounded;
  for (const AdamWTensor& t : tensors) {
    const int64_t count = t.weight.elements();
    expect_count("adamw", "weight", t.weight, count, DType::f32);
    expect_count("adamw", "grad", t.grad, count, DType::f32);
    expect_count("adamw", "exp_avg", t.exp_avg, count, moment);
    expect_count("adamw", "exp_avg_sq", t.exp_avg_sq, count, moment);
    WEFT_CHECK(present(t.rounded) == present(copy), "adamw: some tensors have a rounded copy");
    if (present(copy)) {
      expect_count("adamw", "rounded", t.rounded, count,
                   copy.dtype() == DType::f16 ? DType::f16 : DType::bf16);
    }
    if (args.stochastic) check_elements("adamw", t.rounding.elements);
  }
}

void check_decide_update(const UpdateArgs& args) {
  expect_count("decide_update", "norm", args.norm, 1, DType::f64);
  expect_count("decide_update", "counters", args.counters, UpdateArgs::counter_count, DType::i64);
  if (present(args.loss_scale)) {
    expect_count("decide_update", "loss_scale", args.loss_scale, 1, DType::f32);
  }
}

void check_sum_squares(std::span<const SquareSums> tensors) {
  for (const SquareSums& t : tensors) {
    expect_float("sum_squares", "x", t.x);
    const int64_t blocks = (t.x.elements() + Ops::kNormBlock - 1) / Ops::kNormBlock;
    expect_count("sum_squares", "partials", t.partials, blocks, DType::f64);
    WEFT_CHECK(t.x.dtype() == tensors.front().x.dtype(), "sum_squares: {} beside {}",
               to_string(t.x), to_string(tensors.front().x));
  }
}

void check_clip_factor(const Tensor& partials, const Tensor& loss_scale, const Tensor& norm,
                       const Tensor& clip) {
  if (present(loss_scale)) {
    expect_count("clip_factor", "loss_scale", loss_scale, 1, DType::f32);
  }
  expect_count("clip_factor", "partials", partials, partials.elements(), DType::f64);
  expect_count("clip_factor", "norm", norm, 1, DType::f64);
  expect_count("clip_factor", "clip", clip, 1, DType::f32);
}

}  // namespace weft
