#include "core/nn/loss_head.h"

#include <algorithm>

#include "core/nn/shared_rows.h"

namespace weft {
namespace {

constexpr int64_t kMinRows = 256;  // of a chunk, however large a vocabulary
constexpr int64_t kRowTile = 128;  // rows that products compute together: chunks are whole ones
// Rows of logits of a large vocabulary are this many elements apart, or a multiple: where they
// begin in the middle of what memory is read by, products take several times as long.
constexpr int64_t kRowUnit = 64;
constexpr int64_t kLargeVocabulary = 1024;

int64_t logits_width(int64_t vocab) {
  return vocab < kLargeVocabulary ? vocab : (vocab + kRowUnit - 1) / kRowUnit * kRowUnit;
}

// The softmax statistics of n logit rows, one kind a row.
struct Stats {
  Tensor all;  // [4,step], step >= n
  int64_t n;

  Tensor row(int64_t i) const { return all.slice(i, i + 1).view({all.shape()[1]}).slice(0, n); }
  Tensor max() const { return row(0); }
  Tensor sum() const { return row(1); }
  Tensor target() const { return row(2); }
  Tensor local_max() const { return row(3); }
};

// Turns each rank's statistics of its part of the vocabulary into those of the whole.
void combine(const Stats& stats, Context& ctx) {
  Communicator* group = ctx.tensor().group;
  if (group == nullptr) return;
  ctx.ops(op::Copy{.from = stats.max(), .to = stats.local_max()}, ctx.stream);
  group->all_reduce(stats.max(), ReduceOp::max, ctx.stream);
  ctx.ops(op::RescaleSums{.sum = stats.sum(), .from = stats.local_max(), .to = stats.max()},
          ctx.stream);
  group->all_reduce(stats.sum(), ReduceOp::sum, ctx.stream);
  group->all_reduce(stats.target(), ReduceOp::sum, ctx.stream);
}

int64_t chunk_rows(int64_t rows, int64_t width, DType dtype, size_t bytes) {
  const int64_t fitting = static_cast<int64_t>(bytes / size_of(dtype)) / width;
  const int64_t limit = std::max(kMinRows, fitting);
  const int64_t chunks = (rows + limit - 1) / limit;
  const int64_t even = (rows + chunks - 1) / chunks;
  return std::min(rows, (even + kRowTile - 1) / kRowTile * kRowTile);
}

}  // namespace

void LossHead::logits(const Tensor& x, const Tensor& out, Context& ctx) {
  ctx.ops(op::Matmul{.a = x, .b = weight_.value, .c = out, .transpose_b = true}, ctx.stream);
}

template <typename Body>
void LossHead::for_each_chunk(const Tensor& x, const Tensor& targets, const Tensor& loss_sum,
                              Context& ctx, const Body& body) {
  const int64_t rows = x.shape().rows();
  const int64_t vocab = weight_.local[0];
  const int64_t width = logits_width(vocab);
  const int64_t step = chunk_rows(rows, width, x.dtype(), ctx.ops.working_memory().logits());
  const Tensor x_rows = x.view({rows, x.shape().back()});
  const Tensor target_rows = targets.view({rows});
  ArenaScope scope(ctx.work);
  const Tensor buffer = ctx.work.allocate({step, width}, x.dtype());
  const Tensor stats_buffer = ctx.work.allocate({4, step}, accumulator(x.dtype()));
  for (int64_t begin = 0; begin < rows; begin += step) {
    const int64_t end = std::min(rows, begin + step);
    const Stats stats{stats_buffer, end - begin};
    const Tensor chunk = buffer.slice(0, end - begin);
    const Tensor target = target_rows.slice(begin, end);
    logits(x_rows.slice(begin, end), chunk, ctx);
    ctx.ops(op::SoftmaxStats{.logits = chunk,
                             .targets = target,
                             .vocab_begin = weight_.first_row,
                             .valid = vocab,
                             .row_max = stats.max(),
                             .row_sum = stats.sum(),
                             .target_logit = stats.target()},
            ctx.stream);
    combine(stats, ctx);
    ctx.ops(op::CrossEntropyLoss{.targets = target,
                                 .row_max = stats.max(),
                                 .row_sum = stats.sum(),
                                 .target_logit = stats.target(),
                                 .loss_sum = loss_sum},
            ctx.stream);
    body(begin, end, chunk, stats.max(), stats.sum());
  }
}

void LossHead::loss(const Tensor& x, const Tensor& targets, const Tensor& loss_sum, Context& ctx) {
  ArenaScope scope(ctx.work);
  for_each_chunk(gather_rows(x, ctx), targets, loss_sum, ctx,
                 [](int64_t, int64_t, const Tensor&, const Tensor&, const Tensor&) {});
}

void LossHead::backward(const Tensor& x, const Tensor& targets, double grad_scale,
                        const Tensor& loss_sum, const Tensor& dx, Context& ctx) {
  ArenaScope scope(ctx.work);
  const Tensor all_x = gather_rows(x, ctx);
  const Tensor partial = partial_rows(dx, ctx);
  const Shape flat{all_x.shape().rows(), all_x.shape().back()};
  for_each_chunk(
      all_x, targets, loss_sum, ctx,
      [&](int64_t begin, int64_t end, const Tensor& chunk, const Tensor& row_max,
          const Tensor& row_sum) {
        const Tensor target = targets.view({flat[0]}).slice(begin, end);
        ctx.ops(op::CrossEntropyBackward{.logits = chunk,
                                         .targets = target,
                                         .vocab_begin = weight_.first_row,
                                         .valid = weight_.local[0],
                                         .row_max = row_max,
                                         .row_sum = row_sum,
                                         .scale = grad_scale,
                                         .loss_scale = ctx.loss_scale},
                ctx.stream);
        ctx.ops(
            op::Matmul{.a = chunk, .b = weight_.value, .c = partial.view(flat).slice(begin, end)},
            ctx.stream);
        ctx.ops(op::Matmul{.a = chunk,
                           .b = all_x.view(flat).slice(begin, end),
                           .c = weight_.grad,
                           .transpose_a = true,
                           .accumulate = true},
                ctx.stream);
      });
  ctx.ready(weight_);
  sum_and_share(partial, dx, ctx);
}

}  // namespace weft
