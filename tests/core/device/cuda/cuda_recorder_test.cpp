#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/backends/backends.h"
#include "core/base/error.h"
#include "core/device/recorder.h"

namespace weft {
namespace {

constexpr size_t kCount = size_t{1} << 16;

class CudaRecorderTest : public testing::Test {
 protected:
  void SetUp() override {
    const CudaReport report = cuda_report();
    if (report.devices.empty()) GTEST_SKIP() << "no GPU: " << report.problem;
    device_ = make_device({.kind = DeviceKind::cuda});
    stream_ = device_->make_stream(StreamKind::compute);
    recorder_ = make_recorder(*device_);
    from_ = device_->allocate_host(kCount * sizeof(int));
    memory_ = device_->allocate(kCount * sizeof(int));
    to_ = device_->allocate_host(kCount * sizeof(int));
    std::fill_n(received(), kCount, -1);
  }
  int* sent() { return static_cast<int*>(from_->data()); }
  int* received() { return static_cast<int*>(to_->data()); }
  void send_there_and_back() {
    device_->copy_to_device(memory_->data(), sent(), memory_->bytes(), *stream_);
    device_->copy_to_host(received(), memory_->data(), memory_->bytes(), *stream_);
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> stream_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<Buffer> from_, memory_, to_;
};

TEST_F(CudaRecorderTest, NotesWorkWithoutDoingIt) {
  std::iota(sent(), sent() + kCount, 1);
  recorder_->begin(*stream_);
  send_there_and_back();
  const auto recording = recorder_->end(*stream_);
  stream_->synchronize();
  EXPECT_EQ(std::count(received(), received() + kCount, -1), static_cast<long>(kCount));
}

TEST_F(CudaRecorderTest, DoesItAgainWithWhatIsInMemoryThen) {
  recorder_->begin(*stream_);
  send_there_and_back();
  const auto recording = recorder_->end(*stream_);
  for (const int first : {1, 1000}) {
    std::iota(sent(), sent() + kCount, first);
    recording->run(*stream_);
    stream_->synchronize();
    EXPECT_TRUE(std::equal(sent(), sent() + kCount, received()));
  }
}

TEST_F(CudaRecorderTest, RefusesToWaitWithinARecording) {
  recorder_->begin(*stream_);
  EXPECT_THROW(stream_->synchronize(), Error);
  EXPECT_THROW(recorder_->end(*stream_), Error);
}

}  // namespace
}  // namespace weft
