// What a plan says against what ranks that are threads do.
#include "launch/plan/rehearsal.h"

#include <gtest/gtest.h>

#include "launch/plan/plan_text.h"
#include "launch/step/random_tokens.h"
#include "launch/step/rank_machine.h"
#include "parallel/comm/bootstrap.h"
#include "tests/launch/small_runs.h"

namespace weft {
namespace {

struct Measured {
  CommTrace::Rows communication;
  std::vector<SegmentBytes> memory;
};

// One training step of every rank.
std::vector<Measured> measure(const RunConfig& config, const MeshShape& shape) {
  std::vector<Measured> ranks(static_cast<size_t>(shape.world()));
  run_local_ranks(shape.world(), [&](Bootstrap& bootstrap) {
    CommTrace trace;
    RankMachine machine(config, 1, bootstrap);
    const auto traced = [&](std::unique_ptr<Communicator> inner, const std::vector<int>&) {
      return make_traced(std::move(inner), trace);
    };
    Mesh mesh(bootstrap, shape, traced, config.pipeline.chain_shape());
    Engine engine(config, machine.resources(mesh, *machine.ops),
                  [](const std::vector<SegmentBytes>&) {});
    trace.clear();
    engine.step(1, 1e-3, 0, random_tokens(*config.model.vocab_size), false);
    ranks[static_cast<size_t>(bootstrap.rank())] = {trace.rows(), engine.memory()};
    bootstrap.barrier();
  });
  return ranks;
}

class Rehearsals : public ::testing::TestWithParam<RunConfig (*)()> {};

TEST_P(Rehearsals, SayWhatEveryRankSendsAndAllocates) {
  int layouts = 0;
  for (const Layout& layout : with_one_policy_each(legal_layouts(GetParam()(), 4))) {
    const RunConfig config = with_layout(GetParam()(), layout);
    const std::vector<Measured> ranks = measure(config, mesh_shape(layout));
    for (int rank = 0; rank < layout.ranks(); ++rank) {
      const Rehearsal planned = rehearse(config, mesh_shape(layout), rank);
      const Measured& measured = ranks[static_cast<size_t>(rank)];
      EXPECT_EQ(planned.communication, measured.communication) << to_string(layout) << " " << rank;
      ASSERT_EQ(planned.memory.size(), measured.memory.size());
      for (size_t i = 0; i < planned.memory.size(); ++i) {
        EXPECT_EQ(planned.memory[i].bytes, measured.memory[i].bytes)
            << to_string(layout) << " " << rank << " " << planned.memory[i].name;
      }
    }
    ++layouts;
  }
  EXPECT_GE(layouts, 20);
}

INSTANTIATE_TEST_SUITE_P(Gpt, Rehearsals,
                         ::testing::Values(&odd_tied, &untied_without_bias, &odd_tied_muon),
                         [](const auto& test) {
                           return test.param == &odd_tied        ? "OddTied"
                                  : test.param == &odd_tied_muon ? "OddTiedMuon"
                                                                 : "UntiedWithoutBias";
                         });

// 1.01e12 parameters on 512 ranks, as arXiv 2205.05198 trained them, in less than a laptop's
// memory.
RunConfig trillion() {
  RunConfig run;
  run.model.vocab_size = 51200;
  run.model.context_length = 2048;
  run.model.layers = 128;
  run.model.heads = 160;
  run.model.width = 25600;
  run.train.batch_size = 512;
  run.train.micro_batch_size = 1;
  run.mesh = {.dp = 1, .tp = 8, .pp = 64};
  return run;
}

size_t segment(const Rehearsal& r, const std::string& name) {
  for (const SegmentBytes& s : r.memory) {
    if (s.name == name) return s.bytes;
  }
  ADD_FAILURE() << "no segment " << name;
  return 0;
}

TEST(Rehearse, PlansATrillionParameters) {
  const RunConfig run = trillion();
  const MeshShape mesh = run.mesh.shape(0);
  const Rehearsal middle = rehearse(run, mesh, rank_of({.pp = 31}, mesh));
  // Two blocks of 12 h^2 parameters over 8 ranks, in f32; vectors and padding are less than 1 %.
  const double expected = 2 * 12.0 * 25600 * 25600 / 8 * 4;
  EXPECT_NEAR(static_cast<double>(segment(middle, "weights")), expected, 0.01 * expected);
  EXPECT_EQ(segment(middle, "gradients"), segment(middle, "weights"));
  // Two moments, and of the gradient norm 8 bytes for every 1024 elements of the whole model.
  const double norm_blocks = 64 * expected / 4 / 1024 * 8;
  EXPECT_NEAR(static_cast<double>(segment(middle, "optimizer")), 2 * expected + norm_blocks,
              0.02 * expected);
  // A rank sends its rows of the residual stream on, once a micro-batch each way.
  const auto sent = middle.communication.at({"pp.act", CommOp::exchange});
  EXPECT_EQ(sent.calls, 2 * 512);  // sends and receives
  EXPECT_EQ(sent.payload_bytes, 512 * (2048 / 8) * int64_t{25600} * 4);
}

// Its groups have one rank, whose calls have nothing to do: zero 3 must not leave them a copy.
TEST(Rehearse, AGpuAloneSharesNothingOut) {
  for (const Determinism determinism : {Determinism::layout, Determinism::elastic}) {
    RunConfig run = with_layout(odd_tied(), {.micro_batch_size = 2, .zero = 3});
    run.determinism = determinism;
    RunConfig plain = run;
    plain.mesh.zero = 0;
    const MeshShape mesh = run.mesh.shape(0);
    const size_t on_cpu = segment(rehearse(run, mesh, 0), "weights");
    EXPECT_NE(on_cpu, segment(rehearse(plain, mesh, 0), "weights"));
    run.device = plain.device = DeviceKind::cuda;
    for (const char* name : {"weights", "gradients", "optimizer"}) {
      EXPECT_EQ(segment(rehearse(run, mesh, 0), name), segment(rehearse(plain, mesh, 0), name));
    }
  }
}

TEST(PlanText, NamesEverySegmentAndAxis) {
  RunConfig run = with_layout(odd_tied(), {.dp = 2, .tp = 2, .micro_batch_size = 2, .pp = 2});
  const MeshShape mesh = run.mesh.shape(0);
  const std::vector<Rehearsal> stages = rehearse_stages(run, mesh);
  const std::string memory = memory_text(run, mesh, stages);
  for (const char* word : {"8 ranks", "stage 1", "weights", "activations", "total", "1910.02054"}) {
    EXPECT_NE(memory.find(word), std::string::npos) << word << " in\n" << memory;
  }
  run.device = DeviceKind::cuda;
  const std::string on_gpus = memory_text(run, mesh, stages);
  for (const char* word : {"total on the GPU", "staging (host)"}) {
    EXPECT_NE(on_gpus.find(word), std::string::npos) << word << " in\n" << on_gpus;
  }
  const std::string communication = communication_text(run, mesh, stages);
  for (const char* word : {"pp.act exchange", "tp all_gather", "dp+cp all_reduce", "world"}) {
    EXPECT_NE(communication.find(word), std::string::npos) << word << " in\n" << communication;
  }
}

}  // namespace
}  // namespace weft
