// BatchReport: what all ranks agree on after a batch, in one small all-reduce: the loss of every
// micro-batch, each in a slot that one rank owns, how many ranks want to stop, and a sum of votes.
//
// Adding the zeros of other ranks to a slot is exact and the slots are added in index order, so the
// loss does not depend on which rank computed which micro-batch, to the last bit.
#pragma once

#include "core/device/device.h"
#include "core/ops/ops.h"
#include "core/tensor/arena.h"

namespace weft {

class BatchReport {
 public:
  BatchReport(Device& device, Stream& stream) : device_(device), stream_(stream) {}

  // Lays out `slots` losses in `arena`, and what is read of them in `host`, memory for copies.
  void allocate(Arena& arena, Arena& host, int64_t slots);
  // All losses 0; `stop` is this rank's wish, `vote` its part of votes().
  void reset(bool stop, int vote);
  // f64 [1]: the sum of token losses of a micro-batch is added to it.
  Tensor loss(int64_t slot) const { return values_.slice(slot, slot + 1); }
  Tensor losses() const { return values_.slice(0, slots()); }
  // f64, to be summed over the ranks.
  const Tensor& values() const { return values_; }
  // Copies values() to the host.
  void read();

  // As read last.
  double total_loss() const;
  bool stop() const { return host()[slots()] > 0; }
  int64_t votes() const { return static_cast<int64_t>(host()[slots() + 1]); }
  int64_t slots() const { return values_.elements() - kExtra; }

 private:
  static constexpr int64_t kExtra = 2;

  double* host() const { return host_.data<double>(); }

  Device& device_;
  Stream& stream_;
  Tensor values_;  // losses, then the number of ranks that want to stop, then votes
  Tensor host_;
};

}  // namespace weft
