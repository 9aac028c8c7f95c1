#include "core/device/cuda/cuda_device.h"

#include <cstdlib>

#include "core/base/error.h"
#include "core/device/cuda/cuda_error.h"

namespace weft {
namespace {

constexpr size_t kAlignment = 4096;  // what Device::allocate promises

double mib(size_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

class CudaBuffer final : public Buffer {
 public:
  explicit CudaBuffer(size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    const size_t padded = bytes + kAlignment;
    const cudaError_t status = cudaMalloc(&block_, padded);
    if (status != cudaSuccess) {
      cudaGetLastError();
      size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      check_cuda(status, fmt::format("allocate {:.1f} MiB of GPU memory, of which {:.1f} of {:.1f} "
                                     "MiB are free",
                                     mib(bytes), mib(free), mib(total)));
    }
    check_cuda(cudaMemset(block_, 0, padded), "clear GPU memory");
    check_cuda(cudaDeviceSynchronize(), "clear GPU memory");
  }
  ~CudaBuffer() override { cudaFree(block_); }
  CudaBuffer(const CudaBuffer&) = delete;
  CudaBuffer& operator=(const CudaBuffer&) = delete;
  void* data() override {
    const auto address = reinterpret_cast<uintptr_t>(block_);
    return reinterpret_cast<void*>((address + kAlignment - 1) / kAlignment * kAlignment);
  }
  size_t bytes() const override { return bytes_; }

 private:
  void* block_ = nullptr;
  size_t bytes_;
};

// Host memory that the GPU reads and writes by itself.
class PinnedBuffer final : public Buffer {
 public:
  explicit PinnedBuffer(size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    check_cuda(cudaMallocHost(&data_, bytes),
               fmt::format("lock {:.1f} MiB of host memory for copies", mib(bytes)));
  }
  ~PinnedBuffer() override { cudaFreeHost(data_); }
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  void* data() override { return data_; }
  size_t bytes() const override { return bytes_; }

 private:
  void* data_ = nullptr;
  size_t bytes_;
};

class CudaEvent final : public Event {
 public:
  CudaEvent() {
    check_cuda(cudaGetDevice(&device_), "make an event");
    check_cuda(cudaEventCreateWithFlags(&handle_, cudaEventDisableTiming), "make an event");
  }
  ~CudaEvent() override { cudaEventDestroy(handle_); }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;
  // The thread need not be the one that made it, and then has no device of its own yet.
  void synchronize() override {
    check_cuda(cudaSetDevice(device_), "wait for an event");
    check_cuda(cudaEventSynchronize(handle_), "finish its work");
  }
  cudaEvent_t handle() const { return handle_; }

 private:
  int device_ = 0;
  cudaEvent_t handle_ = nullptr;
};

CudaEvent& cuda_event(Event& event) {
  auto* cuda = dynamic_cast<CudaEvent*>(&event);
  WEFT_CHECK(cuda != nullptr, "a GPU stream was given another device's event");
  return *cuda;
}

GpuProperties read_properties(int index) {
  cudaDeviceProp p{};
  check_cuda(cudaGetDeviceProperties(&p, index), "read the properties of the GPU");
  return {.index = index,
          .name = p.name,
          .compute_capability = 10 * p.major + p.minor,
          .multiprocessors = p.multiProcessorCount,
          .memory_bytes = p.totalGlobalMem,
          .shared_bytes_per_block = p.sharedMemPerBlockOptin};
}

}  // namespace

CudaStream::CudaStream(StreamKind kind) {
  int least = 0, greatest = 0;
  check_cuda(cudaDeviceGetStreamPriorityRange(&least, &greatest), "read stream priorities");
  check_cuda(cudaStreamCreateWithPriority(&handle_, cudaStreamNonBlocking,
                                          kind == StreamKind::communication ? greatest : least),
             "make a stream");
}

CudaStream::~CudaStream() {
  cudaStreamSynchronize(handle_);
  cudaStreamDestroy(handle_);
}

void CudaStream::synchronize() { check_cuda(cudaStreamSynchronize(handle_), "finish its work"); }

void CudaStream::record(Event& event) {
  check_cuda(cudaEventRecord(cuda_event(event).handle(), handle_), "record an event");
}

void CudaStream::wait(Event& event) {
  check_cuda(cudaStreamWaitEvent(handle_, cuda_event(event).handle(), 0), "wait for an event");
}

CudaDevice::CudaDevice(int index, DeviceOptions options) : options_(std::move(options)) {
  check_cuda(cudaSetDevice(index), fmt::format("use GPU {}", index));
  check_cuda(cudaFree(nullptr), fmt::format("start on GPU {}", index));
  properties_ = read_properties(index);
}

std::string CudaDevice::description() const {
  return fmt::format("cuda {}, {}, {:.0f} GiB", properties_.index, properties_.name,
                     mib(properties_.memory_bytes) / 1024);
}

std::optional<size_t> CudaDevice::free_bytes() const {
  size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "ask for its free memory");
  return free;
}

void CudaDevice::use() const { check_cuda(cudaSetDevice(properties_.index), "change GPUs"); }

std::unique_ptr<Buffer> CudaDevice::allocate(size_t bytes) {
  return std::make_unique<CudaBuffer>(bytes);
}

std::unique_ptr<Buffer> CudaDevice::allocate_host(size_t bytes) {
  return std::make_unique<PinnedBuffer>(bytes);
}

std::unique_ptr<Stream> CudaDevice::make_stream(StreamKind kind) {
  use();
  return std::make_unique<CudaStream>(kind);
}

std::unique_ptr<Event> CudaDevice::make_event() { return std::make_unique<CudaEvent>(); }

std::unique_ptr<Stamps> CudaDevice::make_stamps() { return make_cuda_stamps(); }

void CudaDevice::copy_to_device(void* device, const void* host, size_t bytes, Stream& stream) {
  check_cuda(
      cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, cuda_stream(stream).handle()),
      "copy to the GPU");
}

void CudaDevice::copy_to_host(void* host, const void* device, size_t bytes, Stream& stream) {
  check_cuda(
      cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, cuda_stream(stream).handle()),
      "copy from the GPU");
}

CudaStream& cuda_stream(Stream& stream) {
  auto* cuda = dynamic_cast<CudaStream*>(&stream);
  WEFT_CHECK(cuda != nullptr, "a GPU operation was given another device's stream");
  return *cuda;
}

CudaDevice& cuda_device(Device& device) {
  auto* cuda = dynamic_cast<CudaDevice*>(&device);
  WEFT_CHECK(cuda != nullptr, "operations of a GPU were asked for {}", device.description());
  return *cuda;
}

std::unique_ptr<Device> make_cuda_device(const DeviceOptions& options) {
  // A rank has more streams than the 8 queues that CUDA would share out to them; read once.
  setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 0);
  WEFT_CHECK(options.ranks_per_device >= 1 && options.local_rank >= 0,
             "local rank {} with {} ranks per GPU", options.local_rank, options.ranks_per_device);
  int count = 0;
  check_cuda(cudaGetDeviceCount(&count), "find a GPU");
  const int index = options.local_rank / options.ranks_per_device;
  if (index >= count) {
    fail(ErrorKind::environment,
         "rank {} of this host needs GPU {}, but {} visible (CUDA_VISIBLE_DEVICES): start at most "
         "{} ranks here",
         options.local_rank, index, count == 1 ? "only GPU 0 is" : fmt::format("{} are", count),
         count * options.ranks_per_device);
  }
  return std::make_unique<CudaDevice>(index, options);
}

}  // namespace weft
