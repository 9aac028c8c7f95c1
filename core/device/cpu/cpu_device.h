// The CPU as a device: host memory, OpenMP threads, streams in the calling thread or in one of
// their own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/device/device.h"

namespace weft {

// A callable of at most 256 bytes stored in place, so that enqueueing never allocates.
class InlineTask {
 public:
  static constexpr size_t kBytes = 256;

  InlineTask() = default;
  InlineTask(const InlineTask&) = delete;
  InlineTask& operator=(const InlineTask&) = delete;

  template <typename F>
  void set(F&& f) {
    using T = std::decay_t<F>;
    static_assert(sizeof(T) <= kBytes && alignof(T) <= alignof(std::max_align_t));
    static_assert(std::is_trivially_destructible_v<T>, "captures must be plain values");
    new (storage_) T(std::forward<F>(f));
    run_ = [](void* p) { (*std::launder(static_cast<T*>(p)))(); };
  }
  void operator()() { run_(storage_); }

 private:
  alignas(std::max_align_t) unsigned char storage_[kBytes];
  void (*run_)(void*) = nullptr;
};

class CpuEvent final : public Event {
 public:
  void synchronize() override;

 private:
  friend class CpuStream;
  std::mutex mutex_;
  std::condition_variable done_cv_;
  uint64_t recorded_ = 0;
  uint64_t done_ = 0;
};

// Work runs in order. A stream without a thread runs it inside run(); one with a thread keeps a
// ring of kDepth pending tasks and blocks run() while the ring is full. One producer thread at a
// time.
class CpuStream final : public Stream {
 public:
  static constexpr size_t kDepth = 256;

  // Without a thread of its own it is the calling thread's, whose team of `threads` is checked
  // here: throws Error{environment} where there is no such team (thread_team.h).
  CpuStream(int threads, bool own_thread);
  ~CpuStream() override;

  int threads() const { return threads_; }  // OpenMP threads of work on this stream
  const std::string& crowding() const { return crowding_; }  // thread_team.h

  template <typename F>
  void run(F&& f) {
    if (!worker_.joinable()) {
      f();
      return;
    }
    push([&](InlineTask& task) { task.set(std::forward<F>(f)); });
  }

  void synchronize() override;
  void record(Event& event) override;
  void wait(Event& event) override;

 private:
  template <typename Fill>
  void push(Fill&& fill) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return head_ - tail_ < kDepth; });
    fill(ring_[head_ % kDepth]);
    ++head_;
    changed_.notify_all();
  }
  void work();

  int threads_;
  std::string crowding_;
  std::vector<InlineTask> ring_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t head_ = 0;  // next slot to fill
  size_t tail_ = 0;  // next slot to finish
  bool stop_ = false;
  std::exception_ptr error_;
  std::thread worker_;
};

// The CPU stream behind `stream`; a WEFT_CHECK fails if it is another device's.
CpuStream& cpu_stream(Stream& stream);

std::unique_ptr<Device> make_cpu_device(const DeviceOptions& options);
// What a CPU device was made with; a WEFT_CHECK fails if it is another's.
const DeviceOptions& cpu_device_options(const Device& device);
std::unique_ptr<Stamps> make_cpu_stamps();

}  // namespace weft
