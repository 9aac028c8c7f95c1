#include "core/device/cpu/thread_team.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/base/error.h"

namespace weft {
namespace {

using testing::HasSubstr;

template <typename F>
std::string environment_error(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::environment);
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(ThreadTeam, IsWhatWasAskedFor) {
  std::thread([] {
    omp_set_dynamic(1);
    omp_set_max_active_levels(0);
    claim_threads();
    EXPECT_EQ(omp_get_dynamic(), 0);
    EXPECT_EQ(omp_get_max_threads(), 1) << "what a library would count on";
    const TeamReport report = start_team(3);
    EXPECT_EQ(report.threads, 3);
    EXPECT_GT(report.stack_bytes, 0);
    EXPECT_GE(report.cores, 1);
    EXPECT_NO_THROW(require_team(report));
  }).join();
}

// Ranks that are threads of one process compute at the same time, each with its team.
TEST(ThreadTeam, StaysWhileOthersAreMade) {
  constexpr int kRanks = 4, kThreads = 3;
  std::atomic<int> computing = 0;
  std::vector<std::thread> ranks;
  for (int i = 0; i < kRanks; ++i) {
    ranks.emplace_back([&] {
      claim_threads();
      require_team(start_team(kThreads));
#pragma omp parallel num_threads(kThreads)
      {
        ++computing;
        while (computing < kRanks * kThreads) std::this_thread::yield();
      }
    });
  }
  for (std::thread& rank : ranks) rank.join();
  EXPECT_EQ(computing, kRanks * kThreads);
}

TEST(ThreadTeam, ThatIsTooSmallIsRefused) {
  const std::string text =
      environment_error([] { require_team({.asked = 8, .threads = 3, .cores = 8}); });
  EXPECT_THAT(text, HasSubstr("gives this rank 3 threads where cpu.threads asks for 8"));
  EXPECT_THAT(text, HasSubstr("cpu.threads: 3"));
}

TEST(ThreadTeam, WithTooSmallStacksIsRefused) {
  const auto check = [] {
    require_team({.asked = 2, .threads = 2, .cores = 2, .stack_bytes = 16 << 10});
  };
  EXPECT_THAT(environment_error(check), HasSubstr("stacks of 16 KiB"));
}

TEST(ThreadTeam, OnTooFewCoresIsSaid) {
  EXPECT_EQ(crowding({.asked = 2, .threads = 2, .cores = 2}), "");
  EXPECT_EQ(crowding({.asked = 2, .threads = 2, .cores = 0}), "");
  EXPECT_THAT(crowding({.asked = 4, .threads = 4, .cores = 1}),
              HasSubstr("the 4 threads of a rank may run on 1 core only"));
}

TEST(ThreadTeam, ReadsStackSizes) {
  EXPECT_EQ(parse_stack_size("4096"), int64_t{4096} << 10);
  EXPECT_EQ(parse_stack_size(" 16 k "), int64_t{16} << 10);
  EXPECT_EQ(parse_stack_size("8M"), int64_t{8} << 20);
  EXPECT_EQ(parse_stack_size("1g"), int64_t{1} << 30);
  EXPECT_EQ(parse_stack_size("512B"), 512);
  for (const char* bad : {"", "k", "-1", "8 x", "8kk", "99999999999999999999", "9999999999g"}) {
    EXPECT_EQ(parse_stack_size(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace weft
