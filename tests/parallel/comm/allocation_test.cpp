#include <gtest/gtest.h>

#include "parallel/comm/bootstrap.h"
#include "tests/support/allocation_count.h"
#include "tests/support/steady_calls.h"

namespace weft {
namespace {

TEST(Allocation, LocalCollectivesTakeNothingAfterTheFirstRound) {
  run_local_ranks(3, [](Bootstrap& bootstrap) {
    const auto comm = bootstrap.split(0, bootstrap.rank(), "world");
    CpuStream stream(1, true);
    testing::SteadyCalls calls(*comm);
    for (int i = 0; i < 3; ++i) calls.run(*comm, stream);
    const int64_t before = testing::allocations();
    comm->barrier();  // nobody is still warming up while somebody counts
    for (int i = 0; i < 10; ++i) calls.run(*comm, stream);
    EXPECT_EQ(testing::allocations() - before, 0);
    comm->barrier();
  });
}

}  // namespace
}  // namespace weft
