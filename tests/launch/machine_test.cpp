#include "launch/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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

TEST(Machine, ReadsACpuQuota) {
  EXPECT_EQ(parse_cpu_quota("150000 100000\n"), 1.5);
  EXPECT_EQ(parse_cpu_quota("max 100000\n"), 0);
  EXPECT_EQ(parse_cpu_quota(""), 0);
  EXPECT_EQ(parse_cpu_quota("100000 0"), 0);
}

TEST(Machine, ReadsThisOne) {
  const Machine machine = read_machine();
  EXPECT_GE(machine.cores, 1);
  EXPECT_GE(machine.usable_cores, 1);
  EXPECT_GT(machine.memory_bytes, 0);
  EXPECT_GT(machine.memory_available_bytes, 0);
  EXPECT_LE(machine.memory_available_bytes, machine.memory_bytes);
}

}  // namespace
}  // namespace weft
