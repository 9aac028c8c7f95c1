// Communicators of GPUs over an NCCL that is made up: its collectives are those of local ranks on
// host memory, it takes its time to accept a call, and it fails when told. What is shown is what
// weft hands to NCCL and what it makes of its answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <utility>

#include "core/mesh/mesh.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/comm/nccl/nccl_bootstrap.h"
#include "tests/support/collective_cases.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

// One communicator of the made-up NCCL.
struct FakeComm {
  std::unique_ptr<Communicator> local;
  std::atomic<int> polls_to_go{0};  // until the call that was made last is accepted
  std::atomic<ncclResult_t> error{ncclSuccess};
  std::atomic<int> aborts{0};
};

// What a rank, which is a thread, has of it.
struct FakeRank {
  Bootstrap* host = nullptr;
  std::unique_ptr<CpuStream> stream;
  std::vector<P2P> posted;  // between group_start and group_end
  FakeComm* posting = nullptr;
  int groups = 0;
};

std::atomic<int> next_id{1};
std::atomic<bool> events_complete{true};
std::vector<FakeComm*> fake_comms;  // of every rank; kept, as an aborted one is still looked at
std::mutex fake_mutex;
thread_local FakeRank fake;

FakeComm* of(ncclComm_t comm) { return reinterpret_cast<FakeComm*>(comm); }

DType dtype_of_nccl(ncclDataType_t type) {
  switch (type) {
    case ncclFloat32:
      return DType::f32;
    case ncclFloat64:
      return DType::f64;
    case ncclInt64:
      return DType::i64;
    default:
      return DType::u8;
  }
}

Tensor tensor(const void* data, size_t count, ncclDataType_t type) {
  return {const_cast<void*>(data), Shape{static_cast<int64_t>(count)}, dtype_of_nccl(type)};
}

// A call was made: accepted after some polls.
ncclResult_t begun(FakeComm* comm) {
  comm->polls_to_go = 3;
  return ncclInProgress;
}

ncclResult_t init_rank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                       ncclConfig_t* config) {
  EXPECT_EQ(config->blocking, 0);
  int color = 0;
  std::memcpy(&color, &id, sizeof color);
  EXPECT_GT(color, 0);
  auto made = std::make_unique<FakeComm>();
  made->local = fake.host->split(color, rank, config->commName);
  EXPECT_EQ(made->local->size(), ranks);
  EXPECT_EQ(made->local->rank(), rank);
  const std::lock_guard lock(fake_mutex);
  fake_comms.push_back(made.get());
  *comm = reinterpret_cast<ncclComm_t>(made.get());
  return begun(made.release());
}

ncclResult_t async_error(ncclComm_t comm, ncclResult_t* state) {
  *state = of(comm)->error;
  if (*state == ncclSuccess && of(comm)->polls_to_go > 0) {
    --of(comm)->polls_to_go;
    *state = ncclInProgress;
  }
  return ncclSuccess;
}

ncclResult_t post(P2P::Kind kind, const void* data, size_t count, ncclDataType_t type, int peer,
                  ncclComm_t comm) {
  fake.posting = of(comm);
  fake.posted.push_back({kind, peer, tensor(data, count, type)});
  return ncclInProgress;
}

NcclApi fake_api() {
  NcclApi api{};
  api.get_unique_id = [](ncclUniqueId* id) {
    const int number = next_id++;
    std::memset(id, 0, sizeof *id);
    std::memcpy(id, &number, sizeof number);
    return ncclSuccess;
  };
  api.error_string = [](ncclResult_t) { return "made-up trouble"; };
  api.last_error = [](ncclComm_t) { return "of no kind"; };
  api.init_rank = &init_rank;
  api.async_error = &async_error;
  api.finalize = [](ncclComm_t comm) { return begun(of(comm)); };
  api.destroy = [](ncclComm_t) { return ncclSuccess; };
  api.abort = [](ncclComm_t comm) {
    ++of(comm)->aborts;
    return ncclSuccess;
  };
  api.all_reduce = [](const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                      ncclComm_t comm, cudaStream_t) {
    EXPECT_EQ(in, out);
    of(comm)->local->all_reduce(tensor(out, count, type),
                                op == ncclMax ? ReduceOp::max : ReduceOp::sum, *fake.stream);
    return begun(of(comm));
  };
  api.reduce_scatter = [](const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t,
                          ncclComm_t comm, cudaStream_t) {
    Communicator& local = *of(comm)->local;
    const auto ranks = static_cast<size_t>(local.size());
    local.reduce_scatter(tensor(in, ranks * count, type), tensor(out, count, type), *fake.stream);
    return begun(of(comm));
  };
  api.all_gather = [](const void* in, void* out, size_t count, ncclDataType_t type, ncclComm_t comm,
                      cudaStream_t) {
    Communicator& local = *of(comm)->local;
    const auto ranks = static_cast<size_t>(local.size());
    local.all_gather(tensor(in, count, type), tensor(out, ranks * count, type), *fake.stream);
    return begun(of(comm));
  };
  api.broadcast = [](const void* in, void* out, size_t count, ncclDataType_t type, int root,
                     ncclComm_t comm, cudaStream_t) {
    EXPECT_EQ(in, out);
    of(comm)->local->broadcast(tensor(out, count, type), root, *fake.stream);
    return begun(of(comm));
  };
  api.send = [](const void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                cudaStream_t) { return post(P2P::Kind::send, data, count, type, peer, comm); };
  api.receive = [](void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                   cudaStream_t) {
    return post(P2P::Kind::receive, data, count, type, peer, comm);
  };
  api.group_start = [] {
    fake.posted.clear();
    ++fake.groups;
    return ncclSuccess;
  };
  api.group_end = [] {
    FakeComm* posting = std::exchange(fake.posting, nullptr);
    if (posting == nullptr) return ncclSuccess;  // a set of aborts
    posting->local->exchange(fake.posted, *fake.stream);
    return begun(posting);
  };
  api.stream_create = [](cudaStream_t* stream) {
    *stream = nullptr;
    return cudaSuccess;
  };
  api.stream_destroy = [](cudaStream_t) { return cudaSuccess; };
  api.event_create = [](cudaEvent_t* event, unsigned) {
    *event = reinterpret_cast<cudaEvent_t>(new int);
    return cudaSuccess;
  };
  api.event_destroy = [](cudaEvent_t event) {
    delete reinterpret_cast<int*>(event);
    return cudaSuccess;
  };
  api.event_record = [](cudaEvent_t, cudaStream_t) { return cudaSuccess; };
  api.event_query = [](cudaEvent_t) { return events_complete ? cudaSuccess : cudaErrorNotReady; };
  api.allocate = [](void** memory, size_t bytes) {
    *memory = std::calloc(1, bytes);
    return cudaSuccess;
  };
  api.release = [](void* memory) {
    std::free(memory);
    return cudaSuccess;
  };
  api.copy = [](void* to, const void* from, size_t bytes, cudaStream_t) {
    std::memcpy(to, from, bytes);
    return cudaSuccess;
  };
  api.stream_of = [](Stream&) -> cudaStream_t { return nullptr; };
  return api;
}

class Nccl : public ::testing::Test {
 protected:
  // Runs `body` as the ranks of a job on the made-up NCCL.
  template <typename Body>
  void run(int ranks, const Body& body, CommOptions options = {}) {
    run_local_ranks(ranks, [&](Bootstrap& host) {
      fake.host = &host;
      fake.stream = std::make_unique<CpuStream>(1, false);
      const auto bootstrap = make_nccl_bootstrap(host, fake_api(), false, options);
      body(*bootstrap);
    });
  }
  void TearDown() override {
    events_complete = true;
    for (FakeComm* comm : fake_comms) delete comm;
    fake_comms.clear();
  }
};

TEST_F(Nccl, EveryOpAndSize) {
  run(3, [](Bootstrap& bootstrap) {
    const auto comm = bootstrap.split(0, bootstrap.rank(), "world");
    testing::check_every_op<float>(*comm, *fake.stream);
    testing::check_every_op<double>(*comm, *fake.stream);
    testing::check_every_op<int64_t>(*comm, *fake.stream);
    comm->barrier();
    EXPECT_GT(fake.groups, 0);
  });
}

TEST_F(Nccl, GroupsAreNamedByTheirFirstRankAndOrderedByKey) {
  run(4, [](Bootstrap& bootstrap) {
    const auto pair = bootstrap.split(bootstrap.rank() % 2, -bootstrap.rank(), "pair");
    EXPECT_EQ(pair->size(), 2);
    EXPECT_EQ(pair->rank(), bootstrap.rank() < 2 ? 1 : 0);
    std::vector<int64_t> value{bootstrap.rank()};
    pair->all_reduce(testing::tensor_of(value), ReduceOp::sum, *fake.stream);
    EXPECT_EQ(value[0], bootstrap.rank() % 2 == 0 ? 2 : 4);
  });
}

TEST_F(Nccl, OneRankOnlyCopies) {
  run(1, [](Bootstrap& bootstrap) {
    const auto comm = bootstrap.split(0, 0, "dp");
    std::vector<float> in{1, 2, 3}, out(3);
    comm->all_gather(testing::tensor_of(in), testing::tensor_of(out), *fake.stream);
    EXPECT_EQ(out, in);
    comm->barrier();
    const std::lock_guard lock(fake_mutex);
    EXPECT_TRUE(fake_comms.empty());
  });
}

// What an error of one group leads to on a rank: all its groups are aborted, and every later call
// says what was wrong.
void expect_failure(Communicator& failing, Communicator& other, const std::string& words) {
  std::vector<float> data{1};
  const auto try_call = [&](Communicator& comm) -> std::string {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < end) {
      try {
        comm.all_reduce(testing::tensor_of(data), ReduceOp::sum, *fake.stream);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::peer);
        return error.what();
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return "nothing";
  };
  const std::string first = try_call(failing);
  EXPECT_THAT(first, HasSubstr(words));
  EXPECT_EQ(try_call(other), first);
}

TEST_F(Nccl, AnErrorInTheBackgroundAbortsEveryGroup) {
  run(2, [](Bootstrap& bootstrap) {
    const auto dp = bootstrap.split(0, bootstrap.rank(), "dp");
    const auto tp = bootstrap.split(0, bootstrap.rank(), "tp");
    bootstrap.barrier();
    if (bootstrap.rank() == 0) {
      const std::lock_guard lock(fake_mutex);
      for (FakeComm* comm : fake_comms) {
        if (comm->local->axis() == "dp") comm->error = ncclRemoteError;
      }
    }
    bootstrap.barrier();
    // The other group still works, or has been aborted: the calls of the two ranks need not pair
    // up.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    const auto all_aborted = [] {
      const std::lock_guard lock(fake_mutex);
      return std::ranges::all_of(fake_comms, [](const FakeComm* c) { return c->aborts == 1; });
    };
    while (!all_aborted() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_TRUE(all_aborted());
    expect_failure(*dp, *tp, "NCCL on axis dp: rank ");
  });
}

TEST_F(Nccl, ACallThatNeverEndsIsNamed) {
  CommOptions options;
  options.deadline = std::chrono::milliseconds(300);
  run(
      2,
      [](Bootstrap& bootstrap) {
        const auto dp = bootstrap.split(0, bootstrap.rank(), "dp");
        const auto tp = bootstrap.split(0, bootstrap.rank(), "tp");
        bootstrap.barrier();
        events_complete = false;
        std::vector<float> data(7);
        dp->all_reduce(testing::tensor_of(data), ReduceOp::sum, *fake.stream);
        std::this_thread::sleep_for(std::chrono::seconds(1));
        EXPECT_THROW(dp->check(), Error) << "a step must not take what an aborted call left";
        expect_failure(*dp, *tp, "all_reduce sum f32[7] (call 0) on axis dp: rank ");
      },
      options);
}

TEST_F(Nccl, TheEnvironmentAsksForOneOrderOfLaunches) {
  unsetenv("NCCL_LAUNCH_ORDER_IMPLICIT");
  run(1, [](Bootstrap&) {});
  EXPECT_STREQ(std::getenv("NCCL_LAUNCH_ORDER_IMPLICIT"), "1");
}

}  // namespace
}  // namespace weft
