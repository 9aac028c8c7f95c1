// Cross-entropy in two passes, so that a vocabulary cut over ranks combines the rows between them.
// Columns [0, valid) of logits are ids [vocab_begin, vocab_begin + valid); the rest is padding and
// takes no part. A target < 0 is ignored.
#pragma once

#include "core/ops/expect.h"
#include "core/ops/op.h"

namespace weft {
namespace op {

struct SoftmaxStats {
  static constexpr OpName kName{"softmax_stats", OpFamily::loss};

  Tensor logits;   // [N,V]
  Tensor targets;  // i32 [N]
  int64_t vocab_begin = 0;
  int64_t valid = 0;
  Tensor row_max;       // [N] = of A
  Tensor row_sum;       // [N] = of A: sum of exp(logit - row_max)
  Tensor target_logit;  // [N] = of A: the target's, 0 if it is not in this shard or ignored

  void check() const;
  Cost cost() const { return moved({logits}); }
  SizeTensors sizes() const { return {logits}; }
};

// sum[n] *= exp(from[n] - to[n]): moves row sums of exp(logit - from) to a larger maximum `to`,
// between the passes where a vocabulary is cut over ranks.
struct RescaleSums {
  static constexpr OpName kName{"rescale_sums", OpFamily::loss};

  Tensor sum;       // [N] of A
  Tensor from, to;  // [N] of A

  void check() const {
    expect_sums(kName, "sum", sum);
    expect_count(kName, "from", from, sum.elements(), sum.dtype());
    expect_count(kName, "to", to, sum.elements(), sum.dtype());
  }
  Cost cost() const { return moved({sum, from, to, sum}); }
  SizeTensors sizes() const { return {sum}; }
};

// loss_sum += sum over rows with target >= 0 of log(row_sum) + row_max - target_logit, in row
// order.
struct CrossEntropyLoss {
  static constexpr OpName kName{"cross_entropy_loss", OpFamily::loss};

  Tensor targets;                         // i32 [N]
  Tensor row_max, row_sum, target_logit;  // [N] of A
  Tensor loss_sum;                        // f64 [1]

  void check() const {
    const int64_t rows = targets.elements();
    expect_sums(kName, "row_max", row_max);
    expect_count(kName, "targets", targets, rows, DType::i32);
    expect_count(kName, "row_max", row_max, rows, row_max.dtype());
    expect_count(kName, "row_sum", row_sum, rows, row_max.dtype());
    expect_count(kName, "target_logit", target_logit, rows, row_max.dtype());
    expect_count(kName, "loss_sum", loss_sum, 1, DType::f64);
  }
  Cost cost() const { return moved({targets, row_max, row_sum, target_logit}); }
  SizeTensors sizes() const { return {targets}; }
};

// In place: logits = scale * loss_scale[0] * (softmax - onehot(target)); rows with target < 0 and
// padding columns become 0.
struct CrossEntropyBackward {
  static constexpr OpName kName{"cross_entropy_backward", OpFamily::loss};

  Tensor logits;   // [N,V]
  Tensor targets;  // i32 [N]
  int64_t vocab_begin = 0;
  int64_t valid = 0;
  Tensor row_max, row_sum;  // [N] of A
  double scale = 1;
  Tensor loss_scale;  // f32 [1], optional: 1

  void check() const;
  Cost cost() const { return moved({logits, logits}); }
  SizeTensors sizes() const { return {logits}; }
};

}  // namespace op

using LossOps =
    Types<op::SoftmaxStats, op::RescaleSums, op::CrossEntropyLoss, op::CrossEntropyBackward>;

}  // namespace weft
