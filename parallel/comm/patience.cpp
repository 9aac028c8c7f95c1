#include "parallel/comm/patience.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace weft {
namespace {

// How soon a wait notices that another has ended.
constexpr std::chrono::milliseconds kLook{1000};

double seconds(std::chrono::milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

Patience::Milliseconds Patience::Wait::until_next_look() const {
  const Milliseconds next = slow_ ? deadline_ : deadline_ / 10;
  return std::clamp(next - waited(), Milliseconds(1), kLook);
}

void Patience::warn(const std::string& who_waits, Milliseconds waited) {
  const Milliseconds limit = deadline();
  {
    const std::lock_guard lock(mutex_);
    const auto now = Clock::now();
    if (warned_at_ != Clock::time_point() && now - warned_at_ < limit / 10) return;
    warned_at_ = now;
  }
  fmt::print(stderr, "weft: warning: {}, since {:.3g} s; the job ends after {:g} s\n", who_waits,
             seconds(waited), seconds(limit));
}

void Patience::give_up(const std::string& who_waits, const Wait& wait) {
  set_given_up(fmt::format("{}, no answer within {:g} s", who_waits, seconds(wait.deadline())));
  const std::lock_guard lock(mutex_);
  throw Error(ErrorKind::peer, message_);
}

void Patience::set_given_up(const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (given_up_) return;
  message_ = message;
  given_up_.store(true, std::memory_order_release);
}

void Patience::throw_if_given_up() const {
  if (!given_up_.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(mutex_);
  throw Error(ErrorKind::peer, message_);
}

}  // namespace weft
