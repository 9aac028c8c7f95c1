#include "core/device/cpu/cpu_device.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/device/cpu/parallel_for.h"
#include "core/device/cpu/stream_copy.h"
#include "core/device/cpu/thread_team.h"

namespace weft {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr int64_t kCopyBytes = int64_t{1} << 20;     // what a thread of a copy takes at least
constexpr size_t kStreamedBytes = size_t{64} << 10;  // smaller copies stay in the caches

// One thread does not fill the memory bus of a host with many channels.
void copy_out(CpuStream& stream, void* to, const void* from, size_t bytes) {
  stream.run([to, from, bytes, threads = stream.threads()] {
    if (bytes < kStreamedBytes) {
      std::memcpy(to, from, bytes);
      return;
    }
    parallel_for(threads, static_cast<int64_t>(bytes), kCopyBytes, [=](int64_t begin, int64_t end) {
      stream_copy(static_cast<std::byte*>(to) + begin, static_cast<const std::byte*>(from) + begin,
                  static_cast<size_t>(end - begin));
    });
  });
}

// Anonymous memory straight from the kernel: zeroed, page aligned, and offered for huge pages,
// which halves the TLB misses of the optimizer's streaming passes.
class CpuBuffer final : public Buffer {
 public:
  explicit CpuBuffer(size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
      const int error = errno;
      const double mib = 1.0 / (1 << 20);
      rlimit limit{};
      const bool limited = getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
      const double free_bytes = static_cast<double>(sysconf(_SC_AVPHYS_PAGES)) *
                                static_cast<double>(sysconf(_SC_PAGESIZE));
      fail(ErrorKind::environment,
           "cannot allocate {:.1f} MiB of host memory ({}); {}use a smaller model, micro-batch or "
           "sequence length, or more ranks",
           static_cast<double>(bytes) * mib, std::strerror(error),
           limited ? fmt::format("ulimit -v allows the process {:.0f} MiB in all: raise it, or ",
                                 static_cast<double>(limit.rlim_cur) * mib)
                   : fmt::format("about {:.0f} MiB are free: ", free_bytes * mib));
    }
    if (bytes >= kHugePage) madvise(p, bytes, MADV_HUGEPAGE);
    data_ = p;
  }
  ~CpuBuffer() override {
    if (data_ != nullptr) munmap(data_, bytes_);
  }
  CpuBuffer(const CpuBuffer&) = delete;
  CpuBuffer& operator=(const CpuBuffer&) = delete;
  void* data() override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const DeviceOptions& options) : options_(options) {}
  const DeviceOptions& options() const { return options_; }
  DeviceKind kind() const override { return DeviceKind::cpu; }
  int threads() const override { return options_.threads; }
  std::string description() const override {
    return fmt::format("cpu, {} thread{}", options_.threads, options_.threads == 1 ? "" : "s");
  }
  std::unique_ptr<Buffer> allocate(size_t bytes) override {
    return std::make_unique<CpuBuffer>(bytes);
  }
  std::unique_ptr<Buffer> allocate_host(size_t bytes) override { return allocate(bytes); }
  std::unique_ptr<Stream> make_stream(StreamKind kind) override {
    auto stream = std::make_unique<CpuStream>(options_.threads, kind == StreamKind::communication);
    if (!stream->crowding().empty()) notices_ = {stream->crowding()};
    return stream;
  }
  std::vector<std::string> notices() const override { return notices_; }
  std::unique_ptr<Event> make_event() override { return std::make_unique<CpuEvent>(); }
  std::unique_ptr<Stamps> make_stamps() override { return make_cpu_stamps(); }
  void copy_to_device(void* device, const void* host, size_t bytes, Stream& stream) override {
    cpu_stream(stream).run([=] { std::memcpy(device, host, bytes); });
  }
  void copy_to_host(void* host, const void* device, size_t bytes, Stream& stream) override {
    copy_out(cpu_stream(stream), host, device, bytes);
  }

 private:
  DeviceOptions options_;
  std::vector<std::string> notices_;
};

}  // namespace

void CpuEvent::synchronize() {
  std::unique_lock lock(mutex_);
  const uint64_t target = recorded_;
  done_cv_.wait(lock, [&] { return done_ >= target; });
}

CpuStream::CpuStream(int threads, bool own_thread) : threads_(threads) {
  WEFT_CHECK(threads >= 1, "a stream needs at least one thread, not {}", threads);
  if (own_thread) {
    ring_ = std::vector<InlineTask>(kDepth);
    try {
      worker_ = std::thread([this] { work(); });
    } catch (const std::system_error& error) {
      fail(ErrorKind::environment,
           "cannot make a thread for communication ({}); raise the limit of processes (ulimit -u, "
           "pids.max of the container) or of memory (ulimit -v)",
           error.what());
    }
  } else {
    claim_threads();
    const TeamReport team = start_team(threads);
    require_team(team);
    crowding_ = weft::crowding(team);
  }
}

CpuStream::~CpuStream() {
  if (!worker_.joinable()) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

void CpuStream::work() {
  claim_threads();
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stop_ || head_ != tail_; });
    if (head_ == tail_) return;
    InlineTask& task = ring_[tail_ % kDepth];
    lock.unlock();
    std::exception_ptr error;
    try {
      task();
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && !error_) error_ = error;
    ++tail_;
    changed_.notify_all();
  }
}

void CpuStream::synchronize() {
  if (!worker_.joinable()) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return head_ == tail_; });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void CpuStream::record(Event& event) {
  auto* e = static_cast<CpuEvent*>(&event);
  uint64_t ticket = 0;
  {
    std::lock_guard lock(e->mutex_);
    ticket = ++e->recorded_;
  }
  run([e, ticket] {
    // Notified under the lock: the waiter may destroy the event as soon as it sees it done.
    std::lock_guard lock(e->mutex_);
    e->done_ = ticket;
    e->done_cv_.notify_all();
  });
}

void CpuStream::wait(Event& event) {
  auto* e = static_cast<CpuEvent*>(&event);
  uint64_t target = 0;
  {
    std::lock_guard lock(e->mutex_);
    target = e->recorded_;
  }
  run([e, target] {
    std::unique_lock lock(e->mutex_);
    e->done_cv_.wait(lock, [&] { return e->done_ >= target; });
  });
}

CpuStream& cpu_stream(Stream& stream) {
  auto* cpu = dynamic_cast<CpuStream*>(&stream);
  WEFT_CHECK(cpu != nullptr, "a CPU operation was given another device's stream");
  return *cpu;
}

std::unique_ptr<Device> make_cpu_device(const DeviceOptions& options) {
  return std::make_unique<CpuDevice>(options);
}

const DeviceOptions& cpu_device_options(const Device& device) {
  const auto* cpu = dynamic_cast<const CpuDevice*>(&device);
  WEFT_CHECK(cpu != nullptr, "operations of a CPU were asked for {}", device.description());
  return cpu->options();
}

}  // namespace weft
