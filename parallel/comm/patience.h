// Patience: how long a rank waits for the others, in whatever call. All groups and threads of a
// rank share one, so that the first wait that lasts too long ends the others as well: a rank that
// hangs is noticed after one deadline, however many calls wait for it behind each other.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

namespace weft {

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
  // words soon after another thread's has lasted too long.
  template <typename Part, typename Describe>
  void wait(const Part& part, const Describe& describe) {
    throw_if_given_up();
    Wait wait(deadline());
    while (!part(wait.until_next_look())) {
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
    explicit Wait(Milliseconds deadline) : deadline_(deadline), start_(Clock::now()) {}

    Milliseconds deadline() const { return deadline_; }
    Milliseconds waited() const { return std::chrono::floor<Milliseconds>(Clock::now() - start_); }
    bool is_over() const { return waited() >= deadline_; }
    // True once, after a tenth of the deadline.
    bool is_slow() { return !slow_ && (slow_ = waited() >= deadline_ / 10); }
    Milliseconds until_next_look() const;

   private:
    Milliseconds deadline_;
    Clock::time_point start_;
    bool slow_ = false;
  };

  [[noreturn]] void give_up(const std::string& who_waits, const Wait& wait);
  void throw_if_given_up() const;

  std::atomic<Milliseconds> deadline_;
  std::atomic<bool> given_up_{false};
  mutable std::mutex mutex_;
  std::string message_;  // of the first wait that lasted too long
  Clock::time_point warned_at_{};
};

}  // namespace weft
