// Stamps on CPU streams: the steady clock, moved once to the time of day. Ranks of one host can be
// compared to a fraction of a microsecond, hosts as well as their clocks agree.
#include <chrono>
#include <deque>
#include <limits>

#include "core/device/cpu/cpu_device.h"

namespace weft {
namespace {

template <typename Clock>
int64_t now() {
  return std::chrono::nanoseconds(Clock::now().time_since_epoch()).count();
}

// Time of day minus steady clock, from the pair of readings that nothing has come between.
int64_t offset_to_time_of_day() {
  constexpr int kTries = 32;
  int64_t shortest = std::numeric_limits<int64_t>::max();
  int64_t offset = 0;
  for (int i = 0; i < kTries; ++i) {
    const int64_t before = now<std::chrono::steady_clock>();
    const int64_t day = now<std::chrono::system_clock>();
    const int64_t after = now<std::chrono::steady_clock>();
    if (after - before >= shortest) continue;
    shortest = after - before;
    offset = day - (before + shortest / 2);
  }
  return offset;
}

class CpuStamps final : public Stamps {
 public:
  size_t put(Stream& stream) override {
    int64_t* reading = &readings_.emplace_back();
    cpu_stream(stream).run([reading] { *reading = now<std::chrono::steady_clock>(); });
    return readings_.size() - 1;
  }
  int64_t nanoseconds(size_t number) const override { return readings_[number] + offset_; }

 private:
  int64_t offset_ = offset_to_time_of_day();
  std::deque<int64_t> readings_;  // a deque: streams write into it while it grows
};

}  // namespace

std::unique_ptr<Stamps> make_cpu_stamps() { return std::make_unique<CpuStamps>(); }

}  // namespace weft
