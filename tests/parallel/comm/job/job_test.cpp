#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/mesh/mesh.h"
#include "parallel/comm/bootstrap.h"
#include "tests/support/allocation_count.h"
#include "tests/support/collective_cases.h"
#include "tests/support/job_main.h"
#include "tests/support/steady_calls.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::job_bootstrap;
using testing::tensor_of;

std::unique_ptr<Communicator> whole_world(const std::string& axis) {
  return job_bootstrap().split(0, job_bootstrap().rank(), axis);
}

template <typename T>
class JobOps : public ::testing::Test {};
using Types = ::testing::Types<float, double, int64_t, Bf16, F16>;
TYPED_TEST_SUITE(JobOps, Types);

TYPED_TEST(JobOps, EveryOpAndSize) {
  const auto comm = whole_world("world");
  CpuStream stream(1, false);
  testing::check_every_op<TypeParam>(*comm, stream);
}

// The same contributions through threads and through processes, bit for bit.
TYPED_TEST(JobOps, GivesTheBitsOfLocalRanks) {
  constexpr int64_t kCount = 100003;
  const int ranks = job_bootstrap().size();
  const int me = job_bootstrap().rank();
  const auto comm = whole_world("world");
  CpuStream stream(1, false);
  std::vector<TypeParam> mine = testing::values_of<TypeParam>(me, kCount);
  comm->all_reduce(tensor_of(mine), ReduceOp::sum, stream);
  run_local_ranks(ranks, [&](Bootstrap& bootstrap) {
    const auto local = bootstrap.split(0, bootstrap.rank(), "world");
    CpuStream local_stream(1, false);
    std::vector<TypeParam> theirs = testing::values_of<TypeParam>(bootstrap.rank(), kCount);
    local->all_reduce(tensor_of(theirs), ReduceOp::sum, local_stream);
    EXPECT_EQ(testing::first_difference(mine, theirs), -1);
  });
}

TEST(Job, IsStartedWithSeveralRanks) { EXPECT_GE(job_bootstrap().size(), 2); }

TEST(Job, SplitOrdersByKey) {
  Bootstrap& bootstrap = job_bootstrap();
  const auto comm = bootstrap.split(-1, -bootstrap.rank(), "reversed");
  EXPECT_EQ(comm->rank(), bootstrap.size() - 1 - bootstrap.rank());
  const auto alone = bootstrap.split(bootstrap.rank(), 0, "alone");
  EXPECT_EQ(alone->size(), 1);
  CpuStream stream(1, false);
  testing::check_every_op<float>(*comm, stream);
  testing::check_every_op<float>(*alone, stream);
}

TEST(Job, ControlPlane) {
  Bootstrap& bootstrap = job_bootstrap();
  EXPECT_EQ(bootstrap.local_size(), bootstrap.size());
  EXPECT_EQ(bootstrap.local_rank(), bootstrap.rank());
  const std::string mine(static_cast<size_t>(bootstrap.rank()), 'x');
  const std::vector<std::string> all = bootstrap.all_gather(mine);
  for (size_t r = 0; r < all.size(); ++r) EXPECT_EQ(all[r], std::string(r, 'x'));
  EXPECT_EQ(bootstrap.broadcast(bootstrap.rank() == 1 ? "from one" : "not this", 1), "from one");
  bootstrap.barrier();
}

TEST(Job, MeshReducesAlongItsAxes) {
  Bootstrap& bootstrap = job_bootstrap();
  Mesh mesh(bootstrap, {.dp = bootstrap.size() / 2, .tp = 2});
  CpuStream stream(1, false);
  std::vector<int64_t> ones{1, 1 + mesh.coord().tp};
  mesh.axis(Axis::tp).all_reduce(tensor_of(ones), ReduceOp::sum, stream);
  EXPECT_EQ(ones, (std::vector<int64_t>{2, 3}));
  mesh.group(data_axes()).all_reduce(tensor_of(ones), ReduceOp::sum, stream);
  EXPECT_EQ(ones[0], bootstrap.size());
  mesh.axis(Axis::pp).all_reduce(tensor_of(ones), ReduceOp::sum, stream);
  EXPECT_EQ(ones[0], bootstrap.size());
}

// Rank 0 starts its large reduction in the background before the small one, the others after it.
TEST(Job, TwoCommunicatorsOnTwoStreamsDoNotWaitForEachOther) {
  const auto a = whole_world("a");
  const auto b = whole_world("b");
  CpuStream background(1, true);
  CpuStream foreground(1, false);
  const int ranks = a->size();
  for (int round = 0; round < 30; ++round) {
    std::vector<float> x = testing::values_of<float>(a->rank(), 50000);
    std::vector<float> y = testing::values_of<float>(a->rank(), 30);
    if (a->rank() == 0) a->all_reduce(tensor_of(x), ReduceOp::sum, background);
    b->all_reduce(tensor_of(y), ReduceOp::sum, foreground);
    if (a->rank() != 0) a->all_reduce(tensor_of(x), ReduceOp::sum, background);
    b->barrier();
    background.synchronize();
    EXPECT_EQ(x[49999], testing::reduced<float>(ranks, 49999, ReduceOp::sum));
    EXPECT_EQ(y[29], testing::reduced<float>(ranks, 29, ReduceOp::sum));
  }
}

TEST(Job, DifferentCallsAreNamed) {
  const auto comm = whole_world("tp");
  CpuStream stream(1, false);
  const bool odd = comm->rank() == 1;
  for (const size_t count : {size_t{10}, size_t{5000}}) {
    const auto broken = whole_world("tp");
    std::vector<float> data(count + (odd ? 2 : 0));
    try {
      broken->all_reduce(tensor_of(data), ReduceOp::sum, stream);
      ADD_FAILURE() << "the call went through";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::peer);
      EXPECT_THAT(error.what(),
                  AllOf(HasSubstr("the calls on axis tp differ"), HasSubstr("rank 1 made"),
                        HasSubstr(fmt::format("all_reduce sum f32[{}] (call 0)", count)),
                        HasSubstr(fmt::format("all_reduce sum f32[{}] (call 0)", count + 2))));
    }
    EXPECT_THROW(broken->barrier(), Error);
    comm->barrier();
  }
}

TEST(Job, DifferentMessagesAreNamed) {
  const auto comm = whole_world("pp");
  CpuStream stream(1, false);
  // More than fits, and less than expected.
  for (const int64_t sent : {70000, 7}) {
    const auto broken = whole_world("pp");
    std::vector<float> data(70000);
    const Tensor whole = tensor_of(data);
    if (comm->rank() == 0) {
      const P2P m{P2P::Kind::send, 1, whole.slice(0, sent)};
      broken->exchange({&m, 1}, stream);
    } else if (comm->rank() == 1) {
      const P2P m{P2P::Kind::receive, 0, whole.slice(0, 1000)};
      try {
        broken->exchange({&m, 1}, stream);
        ADD_FAILURE() << "the message went through";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::peer);
        EXPECT_EQ(std::string(error.what()),
                  fmt::format("exchange (call 0) on axis pp: rank 0 sends f32[{}], rank 1 receives "
                              "f32[1000]",
                              sent));
      }
    }
    comm->barrier();
  }
}

TEST(Job, CollectivesTakeNothingFromTheHeapAfterTheFirstRound) {
  const auto comm = whole_world("world");
  CpuStream stream(1, true);
  testing::SteadyCalls calls(*comm);
  for (int i = 0; i < 3; ++i) calls.run(*comm, stream);
  const int64_t before = testing::allocations();
  for (int i = 0; i < 10; ++i) calls.run(*comm, stream);
  EXPECT_EQ(testing::allocations() - before, 0);
}

}  // namespace
}  // namespace weft
