#include "launch/step/batch_report.h"

#include <algorithm>
#include <numeric>

namespace weft {

void BatchReport::allocate(Arena& arena, Arena& host, int64_t slots) {
  values_ = arena.allocate({slots + kExtra}, DType::f64);
  host_ = host.allocate(values_.shape(), DType::f64);
}

void BatchReport::reset(bool stop, int vote) {
  std::fill_n(host(), slots(), 0.0);
  host()[slots()] = stop ? 1.0 : 0.0;
  host()[slots() + 1] = vote;
  device_.copy_to_device(values_.raw(), host_.raw(), values_.bytes(), stream_);
}

void BatchReport::read() {
  device_.copy_to_host(host_.raw(), values_.raw(), values_.bytes(), stream_);
  stream_.synchronize();
}

double BatchReport::total_loss() const { return std::accumulate(host(), host() + slots(), 0.0); }

}  // namespace weft
