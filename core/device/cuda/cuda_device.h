// A GPU as a device: its memory, CUDA streams and events.
//
// A rank uses one GPU, from one host thread. Nothing is enqueued on CUDA's default stream, and all
// streams are non-blocking: only events order them. The calling thread's current CUDA device is set
// where the device is made and where streams are; whoever enqueues from another thread calls
// CudaDevice::use() there first.
#pragma once

#include <cuda_runtime_api.h>

#include "core/device/device.h"
#include "core/device/recorder.h"

namespace weft {

// What kernels and library calls are chosen by.
struct GpuProperties {
  int index = 0;  // among the visible devices
  std::string name;
  int compute_capability = 0;  // 90 for 9.0
  int multiprocessors = 0;
  size_t memory_bytes = 0;
  size_t shared_bytes_per_block = 0;  // with opt-in
};

class CudaStream final : public Stream {
 public:
  // A communication stream goes before compute streams when both have work.
  explicit CudaStream(StreamKind kind);
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  cudaStream_t handle() const { return handle_; }
  void synchronize() override;
  void record(Event& event) override;
  void wait(Event& event) override;

 private:
  cudaStream_t handle_ = nullptr;
};

class CudaDevice final : public Device {
 public:
  CudaDevice(int index, DeviceOptions options);
  DeviceKind kind() const override { return DeviceKind::cuda; }
  std::string description() const override;
  int threads() const override { return options_.threads; }
  std::optional<size_t> free_bytes() const override;
  std::unique_ptr<Buffer> allocate(size_t bytes) override;
  std::unique_ptr<Buffer> allocate_host(size_t bytes) override;
  std::unique_ptr<Stream> make_stream(StreamKind kind) override;
  std::unique_ptr<Event> make_event() override;
  std::unique_ptr<Stamps> make_stamps() override;
  // Host memory from allocate_host is copied without waiting and must stay as it is until the
  // stream has come there; other host memory may be reused at once.
  void copy_to_device(void* device, const void* host, size_t bytes, Stream& stream) override;
  void copy_to_host(void* host, const void* device, size_t bytes, Stream& stream) override;

  const GpuProperties& properties() const { return properties_; }
  const DeviceOptions& options() const { return options_; }
  void use() const;  // makes this the calling thread's current device

 private:
  DeviceOptions options_;
  GpuProperties properties_;
};

// The CUDA stream behind `stream`; a WEFT_CHECK fails if it is another device's.
CudaStream& cuda_stream(Stream& stream);
// The same for a device.
CudaDevice& cuda_device(Device& device);

// The GPU of the rank with this number on its host. Throws Error{environment} without a GPU, and
// where there are fewer than ranks / ranks_per_device.
std::unique_ptr<Device> make_cuda_device(const DeviceOptions& options);
std::unique_ptr<Stamps> make_cuda_stamps();
std::unique_ptr<Recorder> make_cuda_recorder();
CudaReport report_cuda();

}  // namespace weft
