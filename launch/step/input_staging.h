// InputStaging: the way of micro-batches to the device, so that the host writes the next one while
// the device still computes.
//
// Two pages of host memory take turns. A page is written again once the copy that read it last is
// done, and copies are enqueued in the order of the compute stream, into the one place that a slot
// has for its tokens: the host is two micro-batches ahead at most.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/model/gpt.h"
#include "core/tensor/arena.h"

namespace weft {

// Writes the inputs and targets (T tokens each) of a sample; a pure function of its index.
using FillSample =
    std::function<void(int64_t sample, std::span<int32_t> inputs, std::span<int32_t> targets)>;

class InputStaging {
 public:
  // For micro-batches of `rows` samples, of whose `sequence_length` tokens this rank takes `share`.
  // Device and stream are borrowed.
  InputStaging(Device& device, Stream& stream, int64_t rows, int64_t sequence_length,
               const TokenShare& share);

  // Lays the pages out in `host`, memory for copies to the device.
  void allocate(Arena& host);
  // Writes the samples from `first_sample` on and enqueues their copy to the tokens and targets of
  // `batch`. Waits while both pages are still being read. From where `fill` throws, the samples
  // are ones without targets until the failure is taken.
  void load(int64_t first_sample, const FillSample& fill, const MicroBatch& batch);
  // What `fill` has thrown, or null.
  std::exception_ptr take_failure();

 private:
  struct Page {
    Tensor tokens, targets;       // [rows, share.count] i32
    std::unique_ptr<Event> read;  // its last copy
  };

  void read(int64_t sample, const FillSample& fill);
  void write(const std::vector<int32_t>& sample, int64_t row, const Tensor& page) const;

  Device& device_;
  Stream& stream_;
  int64_t rows_;
  TokenShare share_;
  std::array<Page, 2> pages_;
  size_t next_ = 0;
  std::vector<int32_t> tokens_, targets_;  // one whole sample
  std::exception_ptr failure_;
};

}  // namespace weft
