#include "core/nn/loss_head.h"

#include <algorithm>

namespace weft {
namespace {

// Logits of one chunk stay near 64 MiB, but a GEMM keeps enough rows to run at full speed.
constexpr int64_t kChunkBytes = int64_t{64} << 20;
constexpr int64_t kMinRows = 256;

int64_t chunk_rows(int64_t rows, int64_t vocab, DType dtype) {
  const int64_t fitting = kChunkBytes / (vocab * static_cast<int64_t>(size_of(dtype)));
  const int64_t limit = std::max(kMinRows, fitting);
  const int64_t chunks = (rows + limit - 1) / limit;
  return (rows + chunks - 1) / chunks;
}

}  // namespace

void LossHead::logits(const Tensor& x, const Tensor& out, Context& ctx) {
  ctx.ops.matmul({.a = x, .b = weight_.value, .c = out, .transpose_b = true}, ctx.stream);
}

template <typename Body>
void LossHead::for_each_chunk(const Tensor& x, const Tensor& targets, const Tensor& loss_sum,
                              Context& ctx, const Body& body) {
  const int64_t rows = x.shape().rows();
  const int64_t vocab = weight_.local[0];
  const int64_t step = chunk_rows(rows, vocab, x.dtype());
  const Tensor x_rows = x.view({rows, x.shape().back()});
  const Tensor target_rows = targets.view({rows});
  ArenaScope scope(ctx.work);
  const Tensor buffer = ctx.work.allocate({step, vocab}, x.dtype());
  const Tensor stats = ctx.work.allocate({3, step}, x.dtype());
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t end = std::min(rows, begin + step);
    const auto stat = [&](int64_t i) {
      return stats.slice(i, i + 1).view({step}).slice(0, end - begin);
    };
    const Tensor chunk = buffer.slice(0, end - begin);
    const Tensor target = target_rows.slice(begin, end);
    logits(x_rows.slice(begin, end), chunk, ctx);
    ctx.ops.softmax_stats(chunk, target, 0, vocab, stat(0), stat(1), stat(2), ctx.stream);
    ctx.ops.cross_entropy_loss(target, stat(0), stat(1), stat(2), loss_sum, ctx.stream);
    body(begin, end, chunk, stat(0), stat(1));
  }
}

void LossHead::loss(const Tensor& x, const Tensor& targets, const Tensor& loss_sum, Context& ctx) {
  for_each_chunk(x, targets, loss_sum, ctx,
                 [](int64_t, int64_t, const Tensor&, const Tensor&, const Tensor&) {});
}

void LossHead::backward(const Tensor& x, const Tensor& targets, double grad_scale,
                        const Tensor& loss_sum, const Tensor& dx, Context& ctx) {
  const Shape flat{x.shape().rows(), x.shape().back()};
  for_each_chunk(x, targets, loss_sum, ctx,
                 [&](int64_t begin, int64_t end, const Tensor& chunk, const Tensor& row_max,
                     const Tensor& row_sum) {
                   const Tensor target = targets.view({flat[0]}).slice(begin, end);
                   ctx.ops.cross_entropy_backward(chunk, target, 0, weight_.local[0], row_max,
                                                  row_sum, grad_scale, ctx.stream);
                   ctx.ops.matmul(
                       {.a = chunk, .b = weight_.value, .c = dx.view(flat).slice(begin, end)},
                       ctx.stream);
                   ctx.ops.matmul({.a = chunk,
                                   .b = x.view(flat).slice(begin, end),
                                   .c = weight_.grad,
                                   .transpose_a = true,
                                   .accumulate = true},
                                  ctx.stream);
                 });
}

}  // namespace weft
