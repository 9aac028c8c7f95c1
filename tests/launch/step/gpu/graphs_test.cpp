// Steps on a GPU whose passes are CUDA graphs compute the bits of steps whose passes are not.
#include <gtest/gtest.h>

#include "core/backends/backends.h"
#include "tests/launch/rank_outcome.h"

namespace weft {
namespace {

struct Case {
  const char* name;
  Precision precision;
  int64_t micro_batch_size;
  Recompute recompute;
  bool whole_heads;  // of 32, which cuDNN and the tile kernels take; else of 12
};

class GraphsTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (cuda_report().devices.empty()) GTEST_SKIP() << "no GPU: " << cuda_report().problem;
  }
  static RankOutcome train_on_gpu(bool graphs) {
    const Case& c = GetParam();
    RunConfig config = c.whole_heads ? char_run() : small_run(c.micro_batch_size);
    config.train.micro_batch_size = c.micro_batch_size;
    config.device = DeviceKind::cuda;
    config.precision = c.precision;
    config.recompute.policy = c.recompute;
    config.cuda.graphs = graphs;
    RankOutcome outcome;
    run_local_ranks(1, [&](Bootstrap& bootstrap) { outcome = train(config, bootstrap, false); });
    return outcome;
  }
};

TEST_P(GraphsTest, ComputeTheSameBits) {
  const RankOutcome eager = train_on_gpu(false);
  const RankOutcome replayed = train_on_gpu(true);
  EXPECT_EQ(eager.seen, replayed.seen);
  EXPECT_TRUE(eager.state == replayed.state);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, GraphsTest,
    testing::Values(Case{"F32", Precision::f32, 4, Recompute::none, true},
                    Case{"Bf16", Precision::bf16, 3, Recompute::none, true},
                    Case{"F16", Precision::f16, 3, Recompute::none, true},
                    Case{"Bf16OddHeads", Precision::bf16, 4, Recompute::none, false},
                    Case{"Bf16OneMicroBatch", Precision::bf16, 12, Recompute::none, true},
                    Case{"Bf16Selective", Precision::bf16, 4, Recompute::selective, true},
                    Case{"Bf16Full", Precision::bf16, 4, Recompute::full, true}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace weft
