#include "core/checkpoint/io_thread.h"

#include <utility>

#include "core/base/error.h"

namespace weft {

IoThread::IoThread() : thread_([this] { work(); }) {}

IoThread::~IoThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void IoThread::start(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    WEFT_CHECK(!job_, "a second job for an I/O thread");
    job_ = std::move(job);
  }
  changed_.notify_all();
}

bool IoThread::idle() const {
  const std::lock_guard lock(mutex_);
  return !job_;
}

void IoThread::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !job_; });
}

void IoThread::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || job_; });
    if (!job_) return;
    lock.unlock();
    job_();
    lock.lock();
    job_ = nullptr;
    changed_.notify_all();
  }
}

}  // namespace weft
