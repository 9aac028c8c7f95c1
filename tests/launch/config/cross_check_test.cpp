#include "launch/config/cross_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace weft {
namespace {

using ::testing::HasSubstr;

// A configuration without a violation on any number of ranks up to 4.
RunConfig legal_config() {
  RunConfig config;
  config.data.train = {"train"};
  config.data.validation = {"validation"};
  config.train.batch_size = 12;
  return config;
}

struct Case {
  const char* name;
  std::function<void(RunConfig&)> spoil;
  int64_t world_size;
  const char* key;      // the key to change first
  const char* message;  // a part of the message
};

void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

class CrossCheck : public ::testing::TestWithParam<Case> {};

TEST(CrossCheckOf, ALegalConfigurationFindsNothing) {
  for (const int64_t world_size : {1, 2, 3, 4}) {
    EXPECT_TRUE(cross_check(legal_config(), world_size).empty());
  }
  EXPECT_TRUE(cross_check(RunConfig(), std::nullopt).empty());
}

// The schedules: of every pipeline that auto is asked for, busy enough and legal where any is.
TEST(CrossCheckOf, AutomaticMicroBatchesFillAPipeline) {
  RunConfig config = legal_config();
  const auto micro = [&](int64_t batch, int64_t dp, int64_t pp, ScheduleKind schedule) {
    config.train.batch_size = batch;
    config.mesh.pp = pp;
    config.pipeline.schedule = schedule;
    const int64_t size = config.micro_batch_size(dp);
    EXPECT_TRUE(cross_check(config, dp * pp).empty()) << batch << " " << dp << " " << pp;
    return size;
  };
  using enum ScheduleKind;
  EXPECT_EQ(micro(12, 1, 1, one_f_one_b), 12);
  EXPECT_EQ(micro(12, 3, 1, one_f_one_b), 4);
  EXPECT_EQ(micro(64, 1, 2, one_f_one_b), 16);
  EXPECT_EQ(micro(64, 2, 4, one_f_one_b), 4);
  EXPECT_EQ(micro(36, 1, 4, one_f_one_b), 4);       // 9 micro-batches: 8 do not divide 36
  EXPECT_EQ(micro(36, 1, 4, interleaved_1f1b), 3);  // 12, a multiple of 4
  EXPECT_EQ(micro(6, 1, 4, one_f_one_b), 1);        // fewer sequences than would do
  EXPECT_EQ(micro(4, 1, 4, interleaved_1f1b), 1);
  EXPECT_EQ(micro(13, 1, 2, zero_bubble_h1), 1);  // a prime number
  config.train.micro_batch_size = 3;
  EXPECT_EQ(config.micro_batch_size(2), 3);
}

TEST_P(CrossCheck, NamesTheKeyTheNumbersAndAFix) {
  RunConfig config = legal_config();
  GetParam().spoil(config);
  const std::vector<Violation> violations = cross_check(config, GetParam().world_size);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].keys.at(0), GetParam().key);
  EXPECT_THAT(violations[0].message, HasSubstr(GetParam().message));
}

const Case kCases[] = {
    {"MeasuringForNobody", [](RunConfig& c) { c.cuda.measure_matmuls = true; }, 1,
     "cuda.measure_matmuls", "name a folder, or try cuda.measure_matmuls false"},
    {"ElasticOnThreeRanks",
     [](RunConfig& c) {
       c.determinism = Determinism::elastic;
       c.train.micro_batch_size = 4;
     },
     3, "determinism", "a power of two of data-parallel ranks, not 3; try mesh.dp 2 or 4"},
    {"ElasticInTwelveMicroBatches",
     [](RunConfig& c) {
       c.determinism = Determinism::elastic;
       c.train.batch_size = 24;
       c.train.micro_batch_size = 2;
     },
     2, "determinism", "micro-batches in a batch, not 12; try train.batch_size 16 or 32"},
    {"LossScaleWithoutF16", [](RunConfig& c) { c.loss_scale.initial = 1024; }, 2,
     "loss_scale.initial",
     "has no meaning with precision f32, whose range is that of f32; leave it out, or try "
     "precision "
     "f16"},
    {"LossScaleBelowItsMinimum",
     [](RunConfig& c) {
       c.precision = Precision::f16;
       c.loss_scale.initial = 2;
       c.loss_scale.min = 4;
     },
     2, "loss_scale.min", "4 is above loss_scale.initial 2; try 2"},
    {"StochasticRoundingOfNothing", [](RunConfig& c) { c.optimizer.stochastic_rounding = true; }, 2,
     "optimizer.stochastic_rounding",
     "nothing is stored in bf16 with precision f32 and f32 states; try optimizer.state_dtype bf16, "
     "or precision bf16"},
    {"MomentumOfAdamw", [](RunConfig& c) { c.optimizer.momentum = 0.9; }, 2, "optimizer.momentum",
     "has no meaning with optimizer.kind adamw; leave it out, or try optimizer.kind sgd"},
    {"MeanSquareOfSgd",
     [](RunConfig& c) {
       c.optimizer.kind = OptimizerKind::sgd;
       c.optimizer.beta2 = 0.99;
     },
     2, "optimizer.beta2",
     "has no meaning with optimizer.kind sgd; leave it out, or try optimizer.kind adamw"},
    {"UpdateScaleOfSgd",
     [](RunConfig& c) {
       c.optimizer.kind = OptimizerKind::sgd;
       c.optimizer.update_scale = OptimizerConfig::UpdateScale::original;
     },
     2, "optimizer.update_scale",
     "has no meaning with optimizer.kind sgd; leave it out, or try optimizer.kind muon"},
    {"GraphsOnACpu", [](RunConfig& c) { c.cuda.graphs = true; }, 1, "cuda.graphs",
     "ranks on CPUs have no CUDA graphs; try cuda.graphs false, or device cuda"},
    {"GraphsUnderTensorParallelism",
     [](RunConfig& c) {
       c.device = DeviceKind::cuda;
       c.cuda.graphs = true;
       c.mesh.tp = 2;
     },
     2, "cuda.graphs", "tensor-parallel ranks talk within every layer, which is not recorded; try"},
    {"GraphsUnderContextParallelism",
     [](RunConfig& c) {
       c.device = DeviceKind::cuda;
       c.cuda.graphs = true;
       c.mesh.cp = 2;
     },
     2, "cuda.graphs", "context-parallel ranks talk within attention, which is not recorded; try"},
    {"GraphsUnderZeroThree",
     [](RunConfig& c) {
       c.device = DeviceKind::cuda;
       c.cuda.graphs = true;
       c.mesh.zero = 3;
     },
     2, "cuda.graphs", "try cuda.graphs false, or mesh.zero 2"},
    {"GraphsOfDropout",
     [](RunConfig& c) {
       c.device = DeviceKind::cuda;
       c.cuda.graphs = true;
       c.model.dropout = 0.2;
     },
     1, "cuda.graphs", "drop the same elements of every micro-batch, not 0.2 of them anew"},
    {"ElasticWithoutMicroBatchSize", [](RunConfig& c) { c.determinism = Determinism::elastic; }, 2,
     "determinism", "micro-batches of one size in every layout, which auto is not; try"},
    {"ZeroTwoUnderZeroBubble",
     [](RunConfig& c) {
       c.mesh.zero = 2;
       c.mesh.pp = 2;
       c.pipeline.schedule = ScheduleKind::zero_bubble_h1;
       c.train.batch_size = 24;
       c.train.micro_batch_size = 1;
     },
     4, "mesh.zero", "stage 2 sums them one by one; try mesh.zero 1, or pipeline.schedule 1f1b"},
    {"ZeroThreeWhereAChainTurns",
     [](RunConfig& c) {
       c.mesh.zero = 3;
       c.mesh.pp = 2;
       c.pipeline.schedule = ScheduleKind::zero_bubble_v;
       c.train.batch_size = 24;
       c.train.micro_batch_size = 1;
     },
     4, "mesh.zero",
     "zb-v keeps weight gradients of several micro-batches open, stage 3 sums them one by one; try "
     "mesh.zero 1"},
    {"PatternThatFreezesNothing",
     [](RunConfig& c) {
       c.optimizer.freeze = {"h.*.mlp.*", "h.0.mpl.up.weight"};
     },
     1, "optimizer.freeze",
     "'h.0.mpl.up.weight' matches no tensor of the model; the nearest are h.0.mlp.up.weight"},
    {"HalfAMatrixFrozen", [](RunConfig& c) { c.optimizer.freeze = {"h.*.attn.[qk].*"}; }, 1,
     "optimizer.freeze", "freezes only 2 of h.0.attn.q.weight, h.0.attn.k.weight"},
    {"SkipWithoutWeights", [](RunConfig& c) { c.load.skip = {"wpe.*"}; }, 1, "load.skip",
     "without load.weights"},
    {"GrowWithoutWeights", [](RunConfig& c) { c.load.vocabulary = LoadConfig::Vocabulary::grow; },
     1, "load.vocabulary", "without load.weights"},
    {"Heads", [](RunConfig& c) { c.model.heads = 5; }, 1, "model.heads",
     "5 heads do not divide width 768 evenly; try heads 4 or 6"},
    {"MoreHeadsThanWidth",
     [](RunConfig& c) {
       c.model.heads = 12;
       c.model.width = 8;
     },
     1, "model.heads", "try heads 8"},
    {"RecomputeStages",
     [](RunConfig& c) {
       c.recompute.stages = {"full", "none"};
     },
     1, "recompute.stages", "2 policies for 1 pipeline stage; try one for each"},
    {"RecomputePolicy", [](RunConfig& c) { c.recompute.stages = {"some"}; }, 1, "recompute.stages",
     "'some' is no policy; legal: none, selective, full"},
    {"OddSinusoidal",
     [](RunConfig& c) {
       c.model.position = GptConfig::Position::sinusoidal;
       c.model.width = 7;
       c.model.heads = 1;
     },
     1, "model.width", "need an even width, not 7; try 6 or 8"},
    {"LongSequence", [](RunConfig& c) { c.train.sequence_length = 2000; }, 1,
     "train.sequence_length", "2000 tokens are more than model.context_length 1024; try 1024"},
    {"StrideOfDocuments",
     [](RunConfig& c) {
       c.data.order = DataConfig::Order::documents;
       c.data.stride = 4;
     },
     1, "data.stride", "has no meaning with data.order documents"},
    {"TooManyTokens",
     [](RunConfig& c) {
       c.train.steps = 1'000'000'000;
       c.train.batch_size = 12'000'000;
     },
     1, "train.steps", "more than 9e18 tokens"},
    {"MinAbovePeak", [](RunConfig& c) { c.schedule.min_lr = 1e-3; }, 1, "schedule.min_lr",
     "0.001 is above schedule.peak_lr 0.0006"},
    {"LongWarmup", [](RunConfig& c) { c.schedule.warmup_steps = 1001; }, 1, "schedule.warmup_steps",
     "1001 warm-up steps are more than train.steps 1000; try at most 1000"},
    {"WarmupPastDecay", [](RunConfig& c) { c.schedule.decay_steps = 99; }, 1,
     "schedule.warmup_steps", "more than schedule.decay_steps 99; try at most 99"},
    {"WsdWithoutStable",
     [](RunConfig& c) {
       c.schedule.kind = ScheduleConfig::Kind::wsd;
       c.schedule.wsd_decay_fraction = 0.95;
     },
     1, "schedule.wsd_decay_fraction", "try at most 0.9"},
    {"MoreStagesThanBlocks", [](RunConfig& c) { c.mesh.pp = 13; }, 13, "mesh.pp",
     "13 stages of 1 chunk need as many blocks, the model has 12; try mesh.pp 12"},
    {"MoreChunksThanBlocks",
     [](RunConfig& c) {
       c.mesh.pp = 4;
       c.train.batch_size = 8;
       c.train.micro_batch_size = 2;
       c.pipeline.schedule = ScheduleKind::interleaved_1f1b;
       c.pipeline.chunks = 4;
     },
     4, "mesh.pp", "4 stages of 4 chunks need as many blocks, the model has 12; try mesh.pp 3"},
    {"TooFewBlocksForAV",
     [](RunConfig& c) {
       c.mesh.pp = 7;
       c.train.batch_size = 14;
       c.pipeline.schedule = ScheduleKind::zero_bubble_v;
     },
     7, "mesh.pp", "7 stages of 2 chunks need as many blocks, the model has 12; try mesh.pp 6"},
    {"ChunksOfAV",
     [](RunConfig& c) {
       c.mesh.pp = 2;
       c.train.batch_size = 8;
       c.train.micro_batch_size = 2;
       c.pipeline.schedule = ScheduleKind::zero_bubble_v;
       c.pipeline.chunks = 3;
     },
     2, "pipeline.schedule",
     "the schedule zb-v has 2 chunks per stage, not 3; use chunks 2, or the schedule interleaved"},
    {"PartsThatDoNotAddUp",
     [](RunConfig& c) {
       c.mesh.pp = 2;
       c.pipeline.layers = {6, 5};
     },
     2, "pipeline.layers",
     "2 numbers that add up to 11; give 2 (pp 2 * chunks 1) that add up to 12"},
    {"MicroBatchesOfInterleaved",
     [](RunConfig& c) {
       c.mesh.pp = 2;
       c.train.batch_size = 3;
       c.train.micro_batch_size = 1;
       c.pipeline.schedule = ScheduleKind::interleaved_1f1b;
     },
     2, "pipeline.schedule",
     "needs a multiple of its 2 stages as micro-batches, not 3; try 2 or 4"},
    {"ChunksOnOneStage", [](RunConfig& c) { c.pipeline.schedule = ScheduleKind::interleaved_1f1b; },
     1, "pipeline.chunks", "2 chunks need a pipeline; try mesh.pp 2, or pipeline.schedule 1f1b"},
    {"HeadsOverTensorRanks", [](RunConfig& c) { c.mesh.tp = 8; }, 8, "mesh.tp",
     "8 ranks cannot share 12 heads evenly; try mesh.tp 6 or 12"},
    {"VocabularyOverTensorRanks",
     [](RunConfig& c) {
       c.mesh.tp = 4;
       c.model.vocab_size = 5;
     },
     4, "mesh.tp", "leave one without a share of the vocabulary of 5"},
    {"TokensOverTensorRanks",
     [](RunConfig& c) {
       c.mesh.tp = 2;
       c.train.batch_size = 3;
       c.train.sequence_length = 7;
     },
     2, "mesh.tp", "cannot share the 21 tokens of a micro-batch evenly"},
    {"TokensOverContextRanks",
     [](RunConfig& c) {
       c.mesh.cp = 4;
       c.train.sequence_length = 36;
     },
     4, "mesh.cp",
     "4 ranks share a sequence in 8 equal chunks, which 36 tokens do not give; try mesh.cp 3 or 6, "
     "or 32 or 40 tokens"},
    {"OddTokensOverContextRanks",
     [](RunConfig& c) {
       c.mesh.cp = 2;
       c.train.sequence_length = 7;
     },
     2, "mesh.cp", "try mesh.cp 1, or 4 or 8 tokens"},
    {"SharesOfTokensOverTensorRanks",
     [](RunConfig& c) {
       c.mesh.tp = 6;
       c.mesh.cp = 2;
       c.train.batch_size = 2;
       c.train.sequence_length = 8;
     },
     12, "mesh.tp", "cannot share the 8 tokens of a micro-batch evenly"},
    {"MeshOfAnotherWorld", [](RunConfig& c) { c.mesh.dp = 2; }, 4, "mesh.dp",
     "dp 2 * tp 1 * pp 1 * cp 1 is 2, but 4 ranks were started; try mesh.dp auto, or start 2 "
     "ranks"},
    {"BatchOverRanks", [](RunConfig& c) { c.train.batch_size = 10; }, 4, "train.batch_size",
     "10 is not a multiple of 4 data-parallel ranks; try 8 or 12"},
    {"BatchSmallerThanRanks", [](RunConfig& c) { c.train.batch_size = 2; }, 4, "train.batch_size",
     "try 4"},
    {"BatchOverMicroBatches", [](RunConfig& c) { c.train.micro_batch_size = 4; }, 2,
     "train.batch_size",
     "12 is not a multiple of micro_batch_size 4 * 2 data-parallel ranks = 8; try 8 or 16"},
    {"NoTrainingData", [](RunConfig& c) { c.data.train.clear(); }, 1, "data.train",
     "names no data"},
    {"NoValidationData", [](RunConfig& c) { c.data.validation.clear(); }, 1, "data.validation",
     "set train.eval_interval to 0"},
};

INSTANTIATE_TEST_SUITE_P(Violations, CrossCheck, ::testing::ValuesIn(kCases),
                         [](const ::testing::TestParamInfo<Case>& test) {
                           return test.param.name;
                         });

TEST(CrossCheckOf, ConfigurationsThatLookWrongButAreNot) {
  RunConfig config = legal_config();
  config.schedule.kind = ScheduleConfig::Kind::constant;
  config.schedule.min_lr = 1;
  config.data.validation.clear();
  config.train.eval_interval = 0;
  config.schedule.warmup_steps = config.train.steps;
  EXPECT_TRUE(cross_check(config, 1).empty());
}

}  // namespace
}  // namespace weft
