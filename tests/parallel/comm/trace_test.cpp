#include "parallel/comm/trace.h"

#include <gtest/gtest.h>

#include "core/mesh/mesh.h"
#include "parallel/comm/bootstrap.h"
#include "tests/support/collective_cases.h"

namespace weft {
namespace {

// One call of each op, tensors without memory.
void call_everything(Communicator& comm, Stream& stream) {
  const int64_t n = comm.size();
  const Tensor block(nullptr, Shape{10}, DType::f32);
  const Tensor whole(nullptr, Shape{n, 10}, DType::f32);
  const Tensor half(nullptr, Shape{3}, DType::bf16);
  comm.all_reduce(whole, ReduceOp::sum, stream);
  comm.all_reduce(block, ReduceOp::max, stream);
  comm.reduce_scatter(whole, block, stream);
  comm.all_gather(block, whole, stream);
  comm.broadcast(half, 0, stream);
  const int next = (comm.rank() + 1) % comm.size();
  const P2P messages[] = {{P2P::Kind::send, next, half}, {P2P::Kind::receive, next, whole}};
  comm.exchange(messages, stream);
  comm.barrier();
}

TEST(Trace, RecordsCallsAndPayload) {
  CommTrace trace;
  const auto comm = make_traced(make_counting_communicator("tp", 2, 4), trace);
  EXPECT_EQ(comm->rank(), 2);
  EXPECT_EQ(comm->size(), 4);
  CpuStream stream(1, false);
  call_everything(*comm, stream);
  EXPECT_EQ(trace.row("tp", CommOp::all_reduce), (CommTrace::Row{2, 160 + 40}));
  EXPECT_EQ(trace.row("tp", CommOp::reduce_scatter), (CommTrace::Row{1, 160}));
  EXPECT_EQ(trace.row("tp", CommOp::all_gather), (CommTrace::Row{1, 160}));
  EXPECT_EQ(trace.row("tp", CommOp::broadcast), (CommTrace::Row{1, 6}));
  EXPECT_EQ(trace.row("tp", CommOp::exchange), (CommTrace::Row{1, 6}));
  EXPECT_EQ(trace.row("tp", CommOp::barrier), (CommTrace::Row{1, 0}));
  EXPECT_EQ(trace.row("dp", CommOp::all_reduce), CommTrace::Row{});
  EXPECT_EQ(trace.payload_bytes(), 532);
  trace.clear();
  EXPECT_TRUE(trace.rows().empty());
}

TEST(Trace, GroupsOfOneSendNothing) {
  CommTrace trace;
  const auto comm = make_traced(make_counting_communicator("tp", 0, 1), trace);
  CpuStream stream(1, false);
  call_everything(*comm, stream);
  EXPECT_TRUE(trace.rows().empty());
}

// Real collectives on a dp x tp mesh: what the ranks traced is what the counting mesh predicted,
// and the results are right behind the decorator.
TEST(Trace, CountingPredictsWhatRanksRecord) {
  const MeshShape shape{.dp = 2, .tp = 2};
  const auto work = [](Mesh& mesh, const Tensor& t, const Tensor& part, Stream& stream) {
    mesh.axis(Axis::tp).all_reduce(t, ReduceOp::sum, stream);
    mesh.group(data_axes()).reduce_scatter(t, part, stream);
    mesh.world().broadcast(t, 1, stream);
    mesh.axis(Axis::pp).all_reduce(t, ReduceOp::sum, stream);
  };
  run_local_ranks(4, [&](Bootstrap& bootstrap) {
    CpuStream stream(1, false);
    CommTrace measured;
    Mesh mesh(bootstrap, shape, [&](std::unique_ptr<Communicator> inner, const auto&) {
      return make_traced(std::move(inner), measured);
    });
    std::vector<float> data(64, 1.0f);
    std::vector<float> part(32);
    work(mesh, testing::tensor_of(data), testing::tensor_of(part), stream);
    EXPECT_EQ(part[31], 4.0f);

    CommTrace predicted;
    Mesh planned(shape, bootstrap.rank(), [&](const std::string& axis, int rank, int size) {
      return make_traced(make_counting_communicator(axis, rank, size), predicted);
    });
    work(planned, Tensor(nullptr, Shape{64}, DType::f32), Tensor(nullptr, Shape{32}, DType::f32),
         stream);
    EXPECT_EQ(measured.rows(), predicted.rows());
    EXPECT_EQ(measured.rows().size(), 3u);
  });
}

}  // namespace
}  // namespace weft
