#include "launch/host/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

namespace weft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Machine, SelectsWholeWordsOfTheFlags) {
  EXPECT_THAT(select_isa("fpu avx512f avx2 avx512_bf16x sse4_2"),
              ElementsAre("sse4_2", "avx2", "avx512f"));
  EXPECT_THAT(select_isa(""), IsEmpty());
}

TEST(Machine, FindsAField) {
  const std::string_view lines =
      "processor\t: 0\nmodel name\t: A CPU: fast\nflags\t\t: a b\nempty :\n";
  EXPECT_EQ(field(lines, "model name"), "A CPU: fast");
  EXPECT_EQ(field(lines, "flags"), "a b");
  EXPECT_EQ(field(lines, "empty"), "");
  EXPECT_EQ(field(lines, "model"), "");
  EXPECT_EQ(field("flags : last", "flags"), "last");
}

TEST(Machine, ReadsTheChoiceInBrackets) {
  EXPECT_EQ(bracketed("always [madvise] never\n"), "madvise");
  EXPECT_EQ(bracketed("always madvise never"), "");
  EXPECT_EQ(bracketed("]["), "");
}

TEST(Machine, SharesCoresAmongTheRanksThatMayRunThere) {
  const std::vector<int> all{0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(share_of_cores({all}, 0, std::nullopt), 8);
  EXPECT_EQ(share_of_cores({all, all, all}, 1, std::nullopt), 2);   // unbound
  EXPECT_EQ(share_of_cores({{0, 1}, {2, 3}}, 1, std::nullopt), 2);  // each its own
  EXPECT_EQ(share_of_cores({{0, 1}, {0, 1}}, 0, std::nullopt), 1);  // taskset of a whole job
  EXPECT_EQ(share_of_cores({{0}, {0}, {0}}, 2, std::nullopt), 1);   // never none
  EXPECT_EQ(share_of_cores({all, {0, 1}}, 0, std::nullopt), 7);     // two cores by halves
  EXPECT_EQ(share_of_cores({{}}, 0, std::nullopt), 1);              // not known
}

TEST(Machine, TakesNoMoreThanTheQuota) {
  const std::vector<int> all{0, 1, 2, 3, 4, 5, 6, 7};
  EXPECT_EQ(share_of_cores({all}, 0, 3.0), 3);
  EXPECT_EQ(share_of_cores({all}, 0, 2.9), 2);
  EXPECT_EQ(share_of_cores({all}, 0, 0.5), 1);
  EXPECT_EQ(share_of_cores({all}, 0, 64.0), 8);
  EXPECT_EQ(share_of_cores({all, all}, 0, 4.0), 2);
}

TEST(Machine, ReadsThisOne) {
  const Machine machine = read_machine();
  EXPECT_GE(machine.cores, 1);
  EXPECT_FALSE(machine.usable_cores.empty());
  EXPECT_GT(machine.memory_bytes, 0);
  EXPECT_GT(machine.memory_available_bytes, 0);
  EXPECT_LE(machine.memory_available_bytes, machine.memory_bytes);
}

// What a limit takes away is memory that is there no more.
TEST(Machine, KnowsTheLimitsOfTheProcess) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_DATA, &before), 0);
  rlimit lower = before;
  lower.rlim_cur = rlim_t{64} << 30;
  if (before.rlim_max != RLIM_INFINITY && before.rlim_max < lower.rlim_cur) {
    GTEST_SKIP() << "this process may not have 64 GiB of data";
  }
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &lower), 0);
  const Machine machine = read_machine();
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &before), 0);
  ASSERT_TRUE(machine.process_limit);
  if (machine.process_limit->name != "ulimit -d") GTEST_SKIP() << "there is a tighter one";
  EXPECT_EQ(machine.process_limit->bytes, int64_t{64} << 30);
  EXPECT_LT(machine.process_limit->free_bytes, machine.process_limit->bytes);
  EXPECT_GT(machine.process_limit->free_bytes, 0);
}

}  // namespace
}  // namespace weft
