#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>

#include "parallel/comm/bootstrap.h"
#include "tests/support/collective_cases.h"
#include "tests/support/mpi_main.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using testing::mpi_bootstrap;
using testing::tensor_of;

template <typename T>
class MpiOps : public ::testing::Test {};
using Types = ::testing::Types<float, double, int64_t>;
TYPED_TEST_SUITE(MpiOps, Types);

TYPED_TEST(MpiOps, EveryOpAndSize) {
  const auto comm = mpi_bootstrap().split(0, mpi_bootstrap().rank(), "world");
  CpuStream stream(1, false);
  testing::check_every_op<TypeParam>(*comm, stream);
}

TEST(Mpi, IsStartedWithSeveralRanks) { EXPECT_GE(mpi_bootstrap().size(), 2); }

TEST(Mpi, SplitOrdersByKey) {
  Bootstrap& bootstrap = mpi_bootstrap();
  const auto comm = bootstrap.split(-1, -bootstrap.rank(), "reversed");
  EXPECT_EQ(comm->rank(), bootstrap.size() - 1 - bootstrap.rank());
  const auto alone = bootstrap.split(bootstrap.rank(), 0, "alone");
  EXPECT_EQ(alone->size(), 1);
  CpuStream stream(1, false);
  testing::check_every_op<float>(*comm, stream);
  testing::check_every_op<float>(*alone, stream);
}

TEST(Mpi, ControlPlane) {
  Bootstrap& bootstrap = mpi_bootstrap();
  EXPECT_EQ(bootstrap.local_size(), bootstrap.size());
  EXPECT_EQ(bootstrap.local_rank(), bootstrap.rank());
  const std::vector<std::string> all =
      bootstrap.all_gather(std::string(static_cast<size_t>(bootstrap.rank()), 'x'));
  for (size_t r = 0; r < all.size(); ++r) EXPECT_EQ(all[r], std::string(r, 'x'));
  EXPECT_EQ(bootstrap.broadcast(bootstrap.rank() == 1 ? "from one" : "not this", 1), "from one");
  bootstrap.barrier();
}

}  // namespace
}  // namespace weft
