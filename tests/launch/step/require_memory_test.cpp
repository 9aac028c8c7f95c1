// Plans that do not fit are refused with the numbers before anything is allocated.
#include "launch/step/require_memory.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace weft {
namespace {

constexpr size_t kMib = size_t{1} << 20;
const std::vector<SegmentBytes> kPlan{{"weights", 100 * kMib},
                                      {"deferred", 0},
                                      {"batch", 20 * kMib},
                                      {"checkpoint", 50 * kMib, true}};

std::string refusal(const MemoryOnOffer& offer) {
  try {
    require_memory(kPlan, offer);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::environment);
    return error.what();
  }
  return "";
}

TEST(RequireMemory, CountsAllOfAPlanOnTheHostOfCpuRanks) {
  EXPECT_EQ(refusal({.host_bytes = 340 * kMib, .ranks_on_host = 2}), "");
  const std::string text = refusal({.host_bytes = 340 * kMib - 1, .ranks_on_host = 2});
  EXPECT_NE(text.find("needs 340.0 MiB of host memory (170.0 MiB for each of its 2 ranks there: "
                      "weights 100.0, batch 20.0, checkpoint 50.0)"),
            std::string::npos)
      << text;
  EXPECT_EQ(refusal({.host_bytes = 0}), "");  // not known
}

// ulimit -v of a process, which ranks that are its threads share.
TEST(RequireMemory, CountsWhatAProcessMayTake) {
  MemoryOnOffer offer{.host_bytes = 1000 * kMib,
                      .ranks_on_host = 4,
                      .process_bytes = (340 + 48) * kMib,
                      .process_limit = "ulimit -v",
                      .ranks_in_process = 2};
  EXPECT_EQ(refusal(offer), "");
  --*offer.process_bytes;
  const std::string text = refusal(offer);
  EXPECT_NE(text.find("needs 340.0 MiB of its process's memory (ulimit -v)"), std::string::npos)
      << text;
  EXPECT_NE(text.find("raise ulimit -v, or lower train.micro_batch_size"), std::string::npos);
}

TEST(RequireMemory, CountsOnlyWhatLiesOnAGpuThere) {
  EXPECT_EQ(refusal({.host_bytes = 50 * kMib, .device_bytes = 120 * kMib}), "");
  EXPECT_NE(refusal({.host_bytes = 50 * kMib, .device_bytes = 120 * kMib - 1})
                .find("needs 120.0 MiB of GPU memory (120.0 MiB for each of its 1 rank there"),
            std::string::npos);
  EXPECT_NE(refusal({.host_bytes = 50 * kMib, .device_bytes = 239 * kMib, .ranks_on_device = 2})
                .find("needs 240.0 MiB of GPU memory"),
            std::string::npos);
  EXPECT_NE(refusal({.host_bytes = 49 * kMib, .device_bytes = 120 * kMib}).find("checkpoint.async"),
            std::string::npos);
}

}  // namespace
}  // namespace weft
