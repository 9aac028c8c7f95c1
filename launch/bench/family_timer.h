// FamilyTimer: how long each family of operations takes.
#pragma once

#include <array>
#include <chrono>

#include "core/ops/observed.h"

namespace weft {

// Waits for every operation and adds its time to its family. Waiting after every operation costs
// overlap: use it to see shares, not to measure speed.
class FamilyTimer final : public OpObserver {
 public:
  double seconds(size_t family) const { return seconds_[family]; }
  void reset() { seconds_ = {}; }

  void before(const OpCall&, Stream&) override { begin_ = Clock::now(); }
  void after(const OpCall& call, Stream& stream) override {
    stream.synchronize();
    seconds_[static_cast<size_t>(call.family)] +=
        std::chrono::duration<double>(Clock::now() - begin_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;

  Clock::time_point begin_;
  std::array<double, kOpFamilies.size()> seconds_{};
};

}  // namespace weft
