#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "parallel/comm/bootstrap.h"
#include "tests/support/collective_cases.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

// Chunks are irrelevant to local ranks; the deadline is that of a test that must not hang.
CommOptions patient() {
  CommOptions options;
  options.deadline = std::chrono::seconds(60);
  return options;
}

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::peer);
    return error.what();
  }
  return "no error";
}

template <typename T>
class LocalOps : public ::testing::Test {};
using Types = ::testing::Types<float, double, int64_t, Bf16, F16>;
TYPED_TEST_SUITE(LocalOps, Types);

TYPED_TEST(LocalOps, EveryOpSizeAndRankCount) {
  for (const int ranks : {1, 2, 3, 4}) {
    run_local_ranks(
        ranks,
        [](Bootstrap& bootstrap) {
          const auto comm = bootstrap.split(0, bootstrap.rank(), "world");
          CpuStream stream(1, false);
          testing::check_every_op<TypeParam>(*comm, stream);
        },
        patient());
  }
}

TEST(Local, FoldsNineRanksInTheSameTree) {
  run_local_ranks(
      9,
      [](Bootstrap& bootstrap) {
        const auto comm = bootstrap.split(0, bootstrap.rank(), "world");
        CpuStream stream(1, false);
        testing::check_all_reduce<float>(*comm, stream, 2000, ReduceOp::sum);
        testing::check_reduce_scatter<float>(*comm, stream, 1100, true);
      },
      patient());
}

TEST(Local, MaxKeepsNaN) {
  run_local_ranks(
      3,
      [](Bootstrap& bootstrap) {
        const auto comm = bootstrap.split(0, bootstrap.rank(), "world");
        CpuStream stream(1, false);
        for (int bad = 0; bad < 3; ++bad) {
          std::vector<float> data{static_cast<float>(bootstrap.rank()), 5.0f};
          if (bootstrap.rank() == bad) data[0] = std::numeric_limits<float>::quiet_NaN();
          comm->all_reduce(testing::tensor_of(data), ReduceOp::max, stream);
          EXPECT_TRUE(std::isnan(data[0])) << "NaN of rank " << bad;
          EXPECT_EQ(data[1], 5.0f);
        }
      },
      patient());
}

TEST(Local, SplitOrdersByKeyThenRank) {
  run_local_ranks(
      5,
      [](Bootstrap& bootstrap) {
        const int me = bootstrap.rank();
        const auto comm = bootstrap.split(me % 2 == 0 ? -7 : 3, -me, "odd or even");
        EXPECT_EQ(comm->size(), me % 2 == 0 ? 3 : 2);
        EXPECT_EQ(comm->rank(), (me % 2 == 0 ? 4 - me : 3 - me) / 2);
        EXPECT_EQ(comm->axis(), "odd or even");
      },
      patient());
}

TEST(Local, ControlPlane) {
  run_local_ranks(
      3,
      [](Bootstrap& bootstrap) {
        EXPECT_EQ(bootstrap.local_size(), 3);
        EXPECT_EQ(bootstrap.local_rank(), bootstrap.rank());
        const std::string mine(static_cast<size_t>(bootstrap.rank()), 'x');
        EXPECT_EQ(bootstrap.all_gather(mine), (std::vector<std::string>{"", "x", "xx"}));
        EXPECT_EQ(bootstrap.broadcast(mine, 2), "xx");
        bootstrap.barrier();
      },
      patient());
}

// The two ranks enqueue their collectives in opposite order across two communicators, each on a
// stream of its own: only truly independent communicators get through.
TEST(Local, TwoCommunicatorsOnTwoStreamsDoNotWaitForEachOther) {
  run_local_ranks(
      2,
      [](Bootstrap& bootstrap) {
        const auto a = bootstrap.split(0, bootstrap.rank(), "a");
        const auto b = bootstrap.split(0, bootstrap.rank(), "b");
        CpuStream background(1, true);
        CpuStream foreground(1, false);
        for (int round = 0; round < 50; ++round) {
          std::vector<float> x = testing::values_of<float>(bootstrap.rank(), 5000);
          std::vector<float> y = testing::values_of<float>(bootstrap.rank(), 30);
          const bool first = bootstrap.rank() == 0;
          if (first) a->all_reduce(testing::tensor_of(x), ReduceOp::sum, background);
          b->all_reduce(testing::tensor_of(y), ReduceOp::sum, foreground);
          if (!first) a->all_reduce(testing::tensor_of(x), ReduceOp::sum, background);
          background.synchronize();
          EXPECT_EQ(x[4999], testing::reduced<float>(2, 4999, ReduceOp::sum));
          EXPECT_EQ(y[29], testing::reduced<float>(2, 29, ReduceOp::sum));
        }
      },
      patient());
}

TEST(Local, DifferentCallsAreNamed) {
  const std::string message = message_of([] {
    run_local_ranks(
        3,
        [](Bootstrap& bootstrap) {
          const auto comm = bootstrap.split(0, bootstrap.rank(), "tp");
          CpuStream stream(1, false);
          std::vector<float> data(static_cast<size_t>(bootstrap.rank() == 1 ? 12 : 10));
          comm->barrier();
          comm->all_reduce(testing::tensor_of(data), ReduceOp::sum, stream);
        },
        patient());
  });
  EXPECT_EQ(message,
            "the calls on axis tp differ: rank 0 made all_reduce sum f32[10] (call 1), "
            "rank 1 made all_reduce sum f32[12] (call 1)");
}

TEST(Local, DifferentMessagesAreNamed) {
  const std::string message = message_of([] {
    run_local_ranks(
        2,
        [](Bootstrap& bootstrap) {
          const auto comm = bootstrap.split(0, bootstrap.rank(), "pp");
          CpuStream stream(1, false);
          std::vector<float> data(static_cast<size_t>(4 + bootstrap.rank()));
          const auto kind = bootstrap.rank() == 0 ? P2P::Kind::send : P2P::Kind::receive;
          const P2P m{kind, 1 - bootstrap.rank(), testing::tensor_of(data)};
          comm->exchange({&m, 1}, stream);
        },
        patient());
  });
  EXPECT_EQ(message, "exchange (call 0) on axis pp: rank 0 sends f32[4], rank 1 receives f32[5]");
}

// A rank that never comes: the waiting rank says what it waits for once the deadline has passed.
TEST(Local, AbsentRankIsNamedAfterTheDeadline) {
  CommOptions hasty;
  hasty.deadline = std::chrono::milliseconds(200);
  const std::string message = message_of([&] {
    run_local_ranks(
        3,
        [](Bootstrap& bootstrap) {
          const int me = bootstrap.rank();
          const auto comm = bootstrap.split(me == 0 ? 0 : 1, me, "dp");
          CpuStream stream(1, false);
          std::vector<double> data(8);
          if (me == 2) std::this_thread::sleep_for(std::chrono::seconds(1));
          if (me == 1) comm->all_reduce(testing::tensor_of(data), ReduceOp::max, stream);
        },
        hasty);
  });
  EXPECT_EQ(message,
            "all_reduce max f64[8] (call 0) on axis dp: rank 0 (world rank 1) waits for rank 1 "
            "(world rank 2), no answer within 0.2 s");
}

TEST(Local, RankThatHasEndedIsNamedAtOnce) {
  const std::string message = message_of([] {
    run_local_ranks(
        2,
        [](Bootstrap& bootstrap) {
          const auto comm = bootstrap.split(0, bootstrap.rank(), "world");
          if (bootstrap.rank() == 0) comm->barrier();
        },
        patient());
  });
  EXPECT_EQ(message,
            "barrier (call 0) on axis world: rank 0 waits for rank 1, which has ended without "
            "this call");
}

// The thrower's own error comes out; ranks blocked in a collective, an exchange and the control
// plane are all let go with Error{peer}.
TEST(Local, ARankThatThrowsReleasesTheOthers) {
  std::atomic<int> released{0};
  EXPECT_THROW(run_local_ranks(
                   5,
                   [&](Bootstrap& bootstrap) {
                     const auto comm = bootstrap.split(0, bootstrap.rank(), "world");
                     CpuStream stream(1, bootstrap.rank() == 4);
                     std::vector<float> data(100);
                     const P2P m{P2P::Kind::send, 0, testing::tensor_of(data)};
                     if (bootstrap.rank() == 0) {
                       std::this_thread::sleep_for(std::chrono::milliseconds(50));
                       throw std::domain_error("the loss is NaN");
                     }
                     try {
                       if (bootstrap.rank() == 1) comm->barrier();
                       if (bootstrap.rank() == 2) comm->exchange({&m, 1}, stream);
                       if (bootstrap.rank() == 3) bootstrap.barrier();
                       comm->all_reduce(testing::tensor_of(data), ReduceOp::sum, stream);
                       stream.synchronize();
                     } catch (const Error& error) {
                       EXPECT_EQ(error.kind(), ErrorKind::peer);
                       EXPECT_THAT(error.what(), HasSubstr("rank 0 failed: the loss is NaN"));
                       ++released;
                       throw;
                     }
                   },
                   patient()),
               std::domain_error);
  EXPECT_EQ(released, 4);
}

TEST(Local, AFailedCommunicatorStaysFailed) {
  EXPECT_THROW(run_local_ranks(
                   2,
                   [](Bootstrap& bootstrap) {
                     const auto comm = bootstrap.split(0, bootstrap.rank(), "world");
                     CpuStream stream(1, false);
                     std::vector<float> data(static_cast<size_t>(3 + bootstrap.rank()));
                     const Tensor t = testing::tensor_of(data);
                     EXPECT_THROW(comm->all_reduce(t, ReduceOp::sum, stream), Error);
                     EXPECT_THROW(comm->all_reduce(t, ReduceOp::sum, stream), Error);
                     EXPECT_THROW(comm->barrier(), Error);
                   },
                   patient()),
               Error);
}

TEST(Local, NoRanksIsAConfigError) {
  try {
    run_local_ranks(0, [](Bootstrap&) {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::config);
  }
}

}  // namespace
}  // namespace weft
