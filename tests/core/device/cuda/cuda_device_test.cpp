#include "core/device/cuda/cuda_device.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <vector>

#include "core/backends/backends.h"
#include "core/base/error.h"

namespace weft {
namespace {

class CudaDeviceTest : public testing::Test {
 protected:
  void SetUp() override {
    const CudaReport report = cuda_report();
    if (report.devices.empty()) GTEST_SKIP() << "no GPU: " << report.problem;
    device_ = make_device({.kind = DeviceKind::cuda});
  }
  std::unique_ptr<Device> device_;
};

TEST_F(CudaDeviceTest, NewMemoryIsZeroAndAligned) {
  const auto stream = device_->make_stream(StreamKind::compute);
  const auto buffer = device_->allocate(100003);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer->data()) % 4096, 0U);
  std::vector<char> host(buffer->bytes(), 1);
  device_->copy_to_host(host.data(), buffer->data(), host.size(), *stream);
  stream->synchronize();
  EXPECT_EQ(std::accumulate(host.begin(), host.end(), 0), 0);
}

TEST_F(CudaDeviceTest, EventsOrderStreams) {
  constexpr size_t kCount = size_t{1} << 22;
  const auto first = device_->make_stream(StreamKind::compute);
  const auto second = device_->make_stream(StreamKind::communication);
  const auto event = device_->make_event();
  const auto buffer = device_->allocate(kCount * sizeof(int));
  const auto from = device_->allocate_host(kCount * sizeof(int));
  const auto to = device_->allocate_host(kCount * sizeof(int));
  auto* sent = static_cast<int*>(from->data());
  std::iota(sent, sent + kCount, 1);
  device_->copy_to_device(buffer->data(), sent, buffer->bytes(), *first);
  first->record(*event);
  second->wait(*event);
  device_->copy_to_host(to->data(), buffer->data(), buffer->bytes(), *second);
  second->synchronize();
  EXPECT_TRUE(std::equal(sent, sent + kCount, static_cast<const int*>(to->data())));
}

TEST_F(CudaDeviceTest, StampsFollowTheTimeOfDay) {
  const auto stream = device_->make_stream(StreamKind::compute);
  const auto stamps = device_->make_stamps();
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const size_t first = stamps->put(*stream);
  const size_t second = stamps->put(*stream);
  stream->synchronize();
  EXPECT_LE(stamps->nanoseconds(first), stamps->nanoseconds(second));
  EXPECT_NEAR(static_cast<double>(stamps->nanoseconds(first)),
              static_cast<double>(std::chrono::nanoseconds(now).count()), 1e9);
}

TEST_F(CudaDeviceTest, RefusesMoreMemoryThanThereIs) {
  try {
    device_->allocate(size_t{1} << 50);
    FAIL() << "a pebibyte of GPU memory";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::environment);
  }
}

TEST_F(CudaDeviceTest, RefusesARankWithoutAGpuOfItsOwn) {
  const auto ranks = static_cast<int>(cuda_report().devices.size());
  const DeviceOptions beyond{.kind = DeviceKind::cuda, .local_rank = ranks};
  EXPECT_THROW(make_device(beyond), Error);
  DeviceOptions shared = beyond;
  shared.ranks_per_device = 2;
  EXPECT_NO_THROW(make_device(shared));
}

}  // namespace
}  // namespace weft
