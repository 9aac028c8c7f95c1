#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "parallel/comm/bootstrap.h"
#include "parallel/transports/transports.h"
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

// Sets a variable for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { setenv(name, value, 1); }
  ~Variable() { unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

std::string refusal() {
  try {
    make_bootstrap();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::environment);
    return error.what();
  }
  return "accepted";
}

TEST(Self, RanksThatCannotMeetAreRefusedUnlessThereIsOne) {
  if (std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr) GTEST_SKIP() << "started by mpirun";
  {
    const Variable rank("RANK", "1");
    const Variable world("WORLD_SIZE", "4");
    EXPECT_EQ(refusal(),
              "RANK and WORLD_SIZE ask for a job of several ranks, but MASTER_ADDR is missing, "
              "MASTER_PORT is missing; start them with `weft launch -n N -- train ...`, or unset "
              "RANK to run alone");
  }
  {
    const Variable rank("RANK", "0");
    const Variable world("WORLD_SIZE", "1");
    EXPECT_EQ(refusal(), "accepted");
  }
  const Variable tasks("SLURM_STEP_NUM_TASKS", "2");
  EXPECT_EQ(
      refusal(),
      "srun started 2 tasks that cannot find each other; use srun --mpi=pmix, mpirun inside the "
      "allocation, or set MASTER_ADDR and MASTER_PORT");
}

TEST(SelfDeathTest, AbortWorldEndsWithTheExitCode) {
  EXPECT_EXIT(abort_world(5), ::testing::ExitedWithCode(5), "");
}

}  // namespace
}  // namespace weft
