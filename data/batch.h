// Which samples a rank computes in a step.
//
// The samples of step s are [s * B, (s + 1) * B), B the global batch size, in micro-batches of
// contiguous rows. So two ranks with one micro-batch each, or one rank with two, compute the same
// samples in the same groups. Micro-batches are numbered in the order [dp rank][micro-batch], which
// gives each rank a contiguous block, or, `by_turns`, [micro-batch][dp rank].
#pragma once

#include <cstdint>

namespace weft {

class BatchPlan {
 public:
  // global_batch samples per step, rows of them per micro-batch, on dp ranks. Throws Error{config}
  // unless dp * rows divides global_batch.
  BatchPlan(int64_t global_batch, int64_t dp, int64_t rows, bool by_turns = false);

  int64_t global_batch() const { return global_batch_; }
  int64_t rows() const { return rows_; }
  int64_t micro_batches() const { return micro_batches_; }  // per rank and step

  // The number of a micro-batch among all of a step: dp_rank in [0, dp), micro in [0,
  // micro_batches()).
  int64_t micro_batch(int64_t dp_rank, int64_t micro) const {
    return by_turns_ ? micro * dp_ + dp_rank : dp_rank * micro_batches_ + micro;
  }
  int64_t all_micro_batches() const { return global_batch_ / rows_; }  // of all ranks

  // The global sample of a row: step >= 0, row in [0, rows()).
  int64_t sample(int64_t step, int64_t dp_rank, int64_t micro, int64_t row) const {
    return step * global_batch_ + micro_batch(dp_rank, micro) * rows_ + row;
  }

 private:
  int64_t global_batch_;
  int64_t dp_;
  int64_t rows_;
  bool by_turns_;
  int64_t micro_batches_;
};

}  // namespace weft
