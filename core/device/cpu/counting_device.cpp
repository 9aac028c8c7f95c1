#include "core/device/cpu/counting_device.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "core/device/cpu/cpu_device.h"

namespace weft {
namespace {

class ReservedAddresses final : public Buffer {
 public:
  explicit ReservedAddresses(size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    void* p = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
      fail(ErrorKind::environment, "cannot reserve {} bytes of address space for a plan ({})",
           bytes, std::strerror(errno));
    }
    data_ = p;
  }
  ~ReservedAddresses() override {
    if (data_ != nullptr) munmap(data_, bytes_);
  }
  ReservedAddresses(const ReservedAddresses&) = delete;
  ReservedAddresses& operator=(const ReservedAddresses&) = delete;
  void* data() override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

class CountingDevice final : public Device {
 public:
  DeviceKind kind() const override { return DeviceKind::cpu; }
  bool has_memory() const override { return false; }
  std::string description() const override { return "plan"; }
  std::unique_ptr<Buffer> allocate(size_t bytes) override {
    return std::make_unique<ReservedAddresses>(bytes);
  }
  std::unique_ptr<Buffer> allocate_host(size_t bytes) override {
    return host_->allocate_host(bytes);
  }
  std::unique_ptr<Stream> make_stream(StreamKind) override {
    return host_->make_stream(StreamKind::compute);
  }
  std::unique_ptr<Event> make_event() override { return host_->make_event(); }
  std::unique_ptr<Stamps> make_stamps() override { return host_->make_stamps(); }
  void copy_to_device(void*, const void*, size_t, Stream&) override {}
  void copy_to_host(void*, const void*, size_t, Stream&) override {}

 private:
  std::unique_ptr<Device> host_ = make_cpu_device({});
};

}  // namespace

std::unique_ptr<Device> make_counting_device() { return std::make_unique<CountingDevice>(); }

}  // namespace weft
