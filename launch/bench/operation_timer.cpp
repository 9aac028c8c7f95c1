#include "launch/bench/operation_timer.h"

#include <algorithm>

namespace weft {

void OperationTimer::reset() {
  stamps_ = device_.make_stamps();
  times_.clear();
}

std::vector<OperationTime> OperationTimer::times() const {
  std::vector<OperationTime> all;
  for (const auto& [key, time] : times_) all.push_back(time);
  std::ranges::stable_sort(all, std::ranges::greater(), &OperationTime::seconds);
  return all;
}

void OperationTimer::before(const OpCall&, Stream& stream) { begin_ = stamps_->put(stream); }

void OperationTimer::after(const OpCall& call, Stream& stream) {
  const size_t end = stamps_->put(stream);
  stream.synchronize();
  const std::string name(call.name);
  const std::string shapes = shapes_of(call);
  OperationTime& time = times_[{name, shapes}];
  time.name = name;
  time.shapes = shapes;
  time.family = call.family;
  ++time.calls;
  time.seconds +=
      1e-9 * static_cast<double>(stamps_->nanoseconds(end) - stamps_->nanoseconds(begin_));
  time.flops += call.cost.flops;
  time.bytes += call.cost.bytes;
}

}  // namespace weft
