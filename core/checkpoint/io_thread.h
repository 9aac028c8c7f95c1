// IoThread: a thread that does one job at a time beside the one that hands them out.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace weft {

// All methods are called from one thread. What a job wrote may be read once idle() or wait() says
// that it is over.
class IoThread {
 public:
  IoThread();
  ~IoThread();  // waits for the job
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // No job may be under way, and this one must not throw.
  void start(std::function<void()> job);
  bool idle() const;
  void wait() const;  // until idle()

 private:
  void work();

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::function<void()> job_;  // empty when idle
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace weft
