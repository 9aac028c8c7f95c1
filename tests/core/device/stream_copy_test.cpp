#include "core/device/cpu/stream_copy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "core/backends/backends.h"
#include "core/device/device.h"

namespace weft {
namespace {

std::vector<unsigned char> counted(size_t bytes) {
  std::vector<unsigned char> out(bytes);
  for (size_t i = 0; i < bytes; ++i) out[i] = static_cast<unsigned char>(i * 7 + i / 251);
  return out;
}

TEST(StreamCopy, CopiesAnyLengthBetweenAnyAddressesAndNoMore) {
  constexpr size_t kLargest = 300, kOffsets = 17;
  const std::vector<unsigned char> from = counted(kLargest + kOffsets);
  for (size_t bytes = 0; bytes <= kLargest; ++bytes) {
    for (size_t offset = 0; offset < kOffsets; ++offset) {
      const size_t other = offset * 5 % kOffsets;
      std::vector<unsigned char> to(kLargest + kOffsets, 0xee), expected = to;
      std::copy_n(from.begin() + static_cast<ptrdiff_t>(other), bytes,
                  expected.begin() + static_cast<ptrdiff_t>(offset));
      stream_copy(to.data() + offset, from.data() + other, bytes);
      ASSERT_EQ(to, expected) << bytes << " bytes to offset " << offset;
    }
  }
}

TEST(CpuDevice, CopiesLargeBlocksWithAllThreads) {
  const auto device = make_device({.threads = 3});
  const auto stream = device->make_stream(StreamKind::compute);
  const std::vector<unsigned char> from = counted((size_t{5} << 20) + 13);
  std::vector<unsigned char> to(from.size());
  device->copy_to_host(to.data(), from.data(), from.size(), *stream);
  EXPECT_EQ(to, from);
}

}  // namespace
}  // namespace weft
