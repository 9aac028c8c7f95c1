#include "launch/step/input_staging.h"

#include <algorithm>
#include <utility>

namespace weft {

InputStaging::InputStaging(Device& device, Stream& stream, int64_t rows, int64_t sequence_length,
                           const TokenShare& share)
    : device_(device),
      stream_(stream),
      rows_(rows),
      share_(share),
      tokens_(static_cast<size_t>(sequence_length)),
      targets_(tokens_.size()) {
  for (Page& page : pages_) page.read = device.make_event();
}

void InputStaging::allocate(Arena& host) {
  for (Page& page : pages_) {
    page.tokens = host.allocate({rows_, share_.count}, DType::i32);
    page.targets = host.allocate({rows_, share_.count}, DType::i32);
  }
}

void InputStaging::write(const std::vector<int32_t>& sample, int64_t row,
                         const Tensor& page) const {
  int32_t* to = page.data<int32_t>() + row * share_.count;
  to = std::copy_n(sample.begin() + share_.first, share_.run, to);
  std::copy_n(sample.begin() + share_.second, share_.count - share_.run, to);
}

void InputStaging::read(int64_t sample, const FillSample& fill) {
  try {
    if (!failure_) return fill(sample, tokens_, targets_);
  } catch (...) {
    failure_ = std::current_exception();
  }
  std::fill(tokens_.begin(), tokens_.end(), 0);
  std::fill(targets_.begin(), targets_.end(), -1);
}

std::exception_ptr InputStaging::take_failure() { return std::exchange(failure_, nullptr); }

void InputStaging::load(int64_t first_sample, const FillSample& fill, const MicroBatch& batch) {
  Page& page = pages_[next_];
  next_ = (next_ + 1) % pages_.size();
  page.read->synchronize();
  for (int64_t row = 0; row < rows_; ++row) {
    read(first_sample + row, fill);
    write(tokens_, row, page.tokens);
    write(targets_, row, page.targets);
  }
  device_.copy_to_device(batch.tokens.raw(), page.tokens.raw(), page.tokens.bytes(), stream_);
  device_.copy_to_device(batch.targets.raw(), page.targets.raw(), page.targets.bytes(), stream_);
  stream_.record(*page.read);
}

}  // namespace weft
