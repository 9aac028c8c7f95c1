// Patience: how long a rank waits for the others, in whatever call. All groups and threads of a
// rank share one, so that the first wait that is in vain ends the others as well: a rank that hangs
// is noticed after one deadline, one that has gone at once, however many calls wait behind each
// other. Time in which this process was stopped does not count: a job that is suspended goes on.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

#include "core/base/error.h"

namespace weft {

// Another rank has gone: the job cannot go on, in whichever group that is noticed.
class LostPeer : public Error {
 public:
  explicit LostPeer(const std::string& message) : Error(ErrorKind::peer, message) {}
};

class Patience {
 public:
  using Milliseconds = std::chrono::milliseconds;

  explicit Patience(Milliseconds deadline) : deadline_(deadline) {}

  Milliseconds deadline() const { return deadline_.load(std::memory_order_relaxed); }
  // Of waits that begin from now on.
  void set_deadline(Milliseconds deadline) { deadline_.store(deadline, std::memory_order_relaxed); }

  // Calls part(time), which waits for at most that long, until it returns true. After a tenth of
  // the deadline standard error says what describe() returns: who waits for whom, and in which
  // call. Throws Error{peer} with it after the deadline, and Error{peer} with the other wait's
  // words soon after another thread's has lasted too long or its part() has thrown LostPeer.
  template <typename Part, typename Describe>
  void wait(const Part& part, const Describe& describe) {
    throw_if_given_up();
    Wait wait(deadline());
    while (!run(part, wait)) {
      throw_if_given_up();
      if (wait.is_over()) give_up(describe(), wait);
      if (wait.is_slow()) warn(describe(), wait.waited());
    }
  }

  // As wait() does, for loops of another shape: say it, at most once in a tenth of the deadline.
  void warn(const std::string& who_waits, Milliseconds waited);

 private:
  using Clock = std::chrono::steady_clock;

  class Wait {
   public:
    explicit Wait(Milliseconds deadline) : deadline_(deadline) {}

    Milliseconds deadline() const { return deadline_; }
    Milliseconds waited() const { return std::chrono::floor<Milliseconds>(waited_); }
    void add(Clock::duration waited) { waited_ += waited; }
    bool is_over() const { return waited_ >= deadline_; }
    // True once, after a tenth of the deadline.
    bool is_slow() { return !slow_ && (slow_ = waited_ >= deadline_ / 10); }
    Milliseconds until_next_look() const;

   private:
    Milliseconds deadline_;
    Clock::duration waited_{};
    bool slow_ = false;
  };

  template <typename Part>
  bool run(const Part& part, Wait& wait) {
    const Milliseconds time = wait.until_next_look();
    const auto start = Clock::now();
    try {
      if (part(time)) return true;
    } catch (const LostPeer& error) {
      set_given_up(error.what());
      throw;
    }
    wait.add(std::min<Clock::duration>(Clock::now() - start, time));
    return false;
  }

  void set_given_up(const std::string& message);
  [[noreturn]] void give_up(const std::string& who_waits, const Wait& wait);
  void throw_if_given_up() const;

  std::atomic<Milliseconds> deadline_;
  std::atomic<bool> given_up_{false};
  mutable std::mutex mutex_;
  std::string message_;  // of the first wait that was in vain
  Clock::time_point warned_at_{};
};

}  // namespace weft
