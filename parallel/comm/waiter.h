// Waiter: how a polling loop passes the time.
//
// A few polls back to back for a peer that answers at once; then the processor is offered to
// whoever wants it, because the peer may be waiting for this very core; after about a millisecond
// short naps, so that a communication thread takes nothing from the compute it overlaps.
//
//   Waiter waiter(deadline);
//   while (!done()) {
//     if (!waiter.turn()) fail(...);
//   }
#pragma once

#include <sched.h>

#include <chrono>
#include <thread>

namespace weft {

class Waiter {
 public:
  explicit Waiter(std::chrono::milliseconds deadline) : deadline_(deadline) {}

  // One pause; false once the deadline has passed.
  bool turn() {
    ++turns_;
    if (turns_ <= kSpins) return true;
    if (turns_ == kSpins + 1) start_ = Clock::now();
    if (turns_ <= kYields) {
      sched_yield();
      return true;
    }
    const auto waited = Clock::now() - start_;
    if (waited < kNapAfter) {
      sched_yield();
      return true;
    }
    std::this_thread::sleep_for(kNap);
    return waited < deadline_;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr int64_t kSpins = 32;
  static constexpr int64_t kYields = 256;
  static constexpr std::chrono::microseconds kNapAfter{1000};
  static constexpr std::chrono::microseconds kNap{30};

  std::chrono::milliseconds deadline_;
  Clock::time_point start_{};
  int64_t turns_ = 0;
};

}  // namespace weft
