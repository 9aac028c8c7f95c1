#include <gtest/gtest.h>

#include <cstdlib>

#include "parallel/comm/bootstrap.h"
#include "tests/support/collective_cases.h"

namespace weft {
namespace {

TEST(Self, EveryOp) {
  const auto bootstrap = make_self_bootstrap();
  const auto comm = bootstrap->split(3, 0, "tp");
  EXPECT_EQ(comm->axis(), "tp");
  CpuStream stream(1, false);
  testing::check_every_op<float>(*comm, stream);
  CpuStream background(1, true);
  testing::check_every_op<int64_t>(*comm, background);
}

TEST(Self, ControlPlane) {
  const auto bootstrap = make_self_bootstrap();
  EXPECT_EQ(bootstrap->size(), 1);
  EXPECT_EQ(bootstrap->local_size(), 1);
  EXPECT_EQ(bootstrap->broadcast("text", 0), "text");
  EXPECT_EQ(bootstrap->all_gather("text"), std::vector<std::string>{"text"});
}

TEST(Self, AProcessWithoutALauncherIsAloneWithoutMpi) {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) GTEST_SKIP() << "started by mpirun";
  EXPECT_EQ(make_bootstrap()->size(), 1);
}

TEST(SelfDeathTest, AbortWorldEndsWithTheExitCode) {
  EXPECT_EXIT(abort_world(5), ::testing::ExitedWithCode(5), "");
}

}  // namespace
}  // namespace weft
