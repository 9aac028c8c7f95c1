// Stamps on GPU streams: timing events, placed in the time of day by one event that the host has
// waited for. CUDA tells times between events as float milliseconds: good to half a microsecond in
// the first seconds of a trace, to 60 of them after a quarter of an hour.
#include <chrono>
#include <deque>

#include "core/device/cuda/cuda_device.h"
#include "core/device/cuda/cuda_error.h"

namespace weft {
namespace {

class TimingEvent {
 public:
  TimingEvent() { check_cuda(cudaEventCreate(&handle_), "make a timing event"); }
  ~TimingEvent() { cudaEventDestroy(handle_); }
  TimingEvent(const TimingEvent&) = delete;
  TimingEvent& operator=(const TimingEvent&) = delete;
  cudaEvent_t handle() const { return handle_; }

 private:
  cudaEvent_t handle_ = nullptr;
};

class CudaStamps final : public Stamps {
 public:
  CudaStamps() {
    CudaStream stream(StreamKind::compute);
    check_cuda(cudaEventRecord(origin_.handle(), stream.handle()), "record an event");
    stream.synchronize();
    origin_time_ = std::chrono::nanoseconds(std::chrono::system_clock::now().time_since_epoch());
  }
  size_t put(Stream& stream) override {
    TimingEvent& event = events_.emplace_back();
    check_cuda(cudaEventRecord(event.handle(), cuda_stream(stream).handle()), "record an event");
    return events_.size() - 1;
  }
  int64_t nanoseconds(size_t number) const override {
    float milliseconds = 0;
    check_cuda(cudaEventElapsedTime(&milliseconds, origin_.handle(), events_[number].handle()),
               "read the time between two events");
    return origin_time_.count() + static_cast<int64_t>(static_cast<double>(milliseconds) * 1e6);
  }

 private:
  TimingEvent origin_;
  std::chrono::nanoseconds origin_time_{};
  std::deque<TimingEvent> events_;
};

}  // namespace

std::unique_ptr<Stamps> make_cuda_stamps() { return std::make_unique<CudaStamps>(); }

}  // namespace weft
