#include "core/device/device.h"

#include <gtest/gtest.h>

#include <cstring>

#include "core/backends/backends.h"
#include "core/base/error.h"
#include "core/device/cpu/counting_device.h"

namespace weft {
namespace {

TEST(DeviceTest, HostBuffersCanBeWritten) {
  const auto cpu = make_device({.threads = 1});
  const auto plan = make_counting_device();
  for (Device* device : {cpu.get(), plan.get()}) {
    const auto buffer = device->allocate_host(100);
    ASSERT_EQ(buffer->bytes(), 100U);
    std::memset(buffer->data(), 7, 100);
    EXPECT_EQ(static_cast<const char*>(buffer->data())[99], 7);
  }
}

TEST(DeviceTest, SaysWhatIsMissingWhereThereIsNoGpu) {
  const CudaReport report = cuda_report();
  if (!report.devices.empty()) GTEST_SKIP() << "this machine has a GPU";
  EXPECT_EQ(report.problem.empty(), !report.built);
  try {
    make_device({.kind = DeviceKind::cuda});
    FAIL() << "a GPU out of nothing";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::environment);
    const std::string message = error.what();
    const char* reason = report.built ? "CUDA cannot find a GPU: " : "has no CUDA backend";
    EXPECT_NE(message.find(reason), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace weft
