#include "launch/train/batch_report.h"

#include <algorithm>

namespace weft {

void BatchReport::allocate(Arena& arena, int64_t slots) {
  values_ = arena.allocate({slots + kExtra}, DType::f64);
  host_.resize(static_cast<size_t>(slots + kExtra));
}

void BatchReport::reset(bool stop, int vote) {
  std::fill(host_.begin(), host_.end(), 0.0);
  host_[host_.size() - 2] = stop ? 1.0 : 0.0;
  host_.back() = vote;
  device_.copy_to_device(values_.raw(), host_.data(), values_.bytes(), stream_);
}

void BatchReport::read() {
  device_.copy_to_host(host_.data(), values_.raw(), values_.bytes(), stream_);
  stream_.synchronize();
}

double BatchReport::total_loss() const {
  double sum = 0;
  for (size_t i = 0; i < static_cast<size_t>(slots()); ++i) sum += host_[i];
  return sum;
}

}  // namespace weft
