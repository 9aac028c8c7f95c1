// The norm of all gradients, and what follows from it: the clip factor, and whether there is an
// update.
#pragma once

#include <span>

#include "core/ops/expect.h"
#include "core/ops/op.h"

namespace weft {

// Elements whose squares are one sum: the blocks, not the ranks, define the rounding of a norm.
constexpr int64_t kNormBlock = 1024;

// partials[i] = sum of squares of elements [i * kNormBlock, (i+1) * kNormBlock) of x, summed in f64
// in a fixed order.
struct BlockSquares {
  Tensor x;
  Tensor partials;  // f64
};

namespace op {

struct SumSquares {
  static constexpr OpName kName{"sum_squares", OpFamily::optimizer};

  std::span<const BlockSquares> tensors = {};  // the caller's; all x of one type; may be none

  void check() const;
  Cost cost() const;
  SizeTensors sizes() const { return {tensors.empty() ? Tensor() : tensors.front().x}; }
};

// norm = sqrt(sum of partials in index order) / loss_scale[0]; clip = min(1, max_norm / (norm +
// 1e-6)) / loss_scale[0], the minimum being 1 when max_norm is 0 (off).
struct ClipFactor {
  static constexpr OpName kName{"clip_factor", OpFamily::optimizer};

  Tensor partials;  // f64
  double max_norm = 0;
  Tensor loss_scale;  // f32 [1], optional: 1
  Tensor norm;        // f64 [1] =
  Tensor clip;        // f32 [1] =

  void check() const {
    expect_count(kName, "partials", partials, partials.elements(), DType::f64);
    expect_optional(kName, "loss_scale", loss_scale, 1, DType::f32);
    expect_count(kName, "norm", norm, 1, DType::f64);
    expect_count(kName, "clip", clip, 1, DType::f32);
  }
  Cost cost() const { return moved({partials}); }
  SizeTensors sizes() const { return {partials}; }
};

// Whether an update takes place, decided on the device so that no host waits within a step:
//   norm[0] finite:  counters[made] += 1; counters[update] = counters[made]
//   else:            counters[skipped] += 1; counters[update] = 0
// With a loss scale that is dynamic, then (Micikevicius et al., arXiv 1710.03740):
//   finite:  counters[good] += 1; where that reaches growth_interval it is set to 0 and the scale
//            multiplied by growth, up to max_scale
//   else:    counters[good] = 0, and the scale is multiplied by backoff, down to min_scale
struct DecideUpdate {
  static constexpr OpName kName{"decide_update", OpFamily::optimizer};
  enum Counter { update, made, skipped, good, counter_count };

  Tensor norm;        // f64 [1]
  Tensor counters;    // i64 [counter_count]
  Tensor loss_scale;  // f32 [1]; absent: none, or one that stays as it is
  int64_t growth_interval = 0;
  double growth = 2, backoff = 0.5, min_scale = 1, max_scale = 0x1p24;

  void check() const {
    expect_count(kName, "norm", norm, 1, DType::f64);
    expect_count(kName, "counters", counters, counter_count, DType::i64);
    expect_optional(kName, "loss_scale", loss_scale, 1, DType::f32);
  }
  Cost cost() const { return moved({counters, counters}); }
  SizeTensors sizes() const { return {counters}; }
};

}  // namespace op

using GradientNormOps = Types<op::SumSquares, op::ClipFactor, op::DecideUpdate>;

}  // namespace weft
