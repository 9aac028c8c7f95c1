// Recompute changes memory and time, never a bit: losses, weights and moments of a run, what the
// plan of memory says, and what the layers say they keep.
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <string>
#include <vector>

#include "core/backends/backends.h"
#include "core/nn/saved.h"
#include "launch/verify/layout_run.h"
#include "parallel/comm/trace.h"
#include "tests/launch/engine_rank.h"

namespace weft {
namespace {

constexpr std::array kPolicies{Recompute::none, Recompute::selective, Recompute::full};

class RecomputeRun : public ::testing::TestWithParam<Layout> {};

TEST_P(RecomputeRun, HasTheSameBits) {
  constexpr int64_t kSteps = 4;
  const RunConfig config = char_run_with_everything();
  const FillSample fill = made_up_text(*config.model.vocab_size);
  Layout layout = GetParam();
  const LayoutTrace kept = run_layout(config, layout, kSteps, fill);
  for (const Recompute policy : {Recompute::selective, Recompute::full}) {
    layout.recompute = policy;
    const LayoutTrace repeated = run_layout(config, layout, kSteps, fill);
    EXPECT_EQ(repeated.losses, kept.losses) << enum_name(policy);
    EXPECT_EQ(repeated.grad_norms, kept.grad_norms) << enum_name(policy);
    EXPECT_EQ(repeated.gradients, kept.gradients) << enum_name(policy);
    EXPECT_EQ(repeated.trained, kept.trained) << enum_name(policy);
    EXPECT_EQ(repeated.moments, kept.moments) << enum_name(policy);
    EXPECT_TRUE(repeated.disagreements.empty()) << enum_name(policy);
  }
}

// Each stage its own, with weight gradients that outlive what was computed again for them.
TEST(RecomputeStages, HaveTheSameBits) {
  RunConfig config = char_run_with_everything();
  const FillSample fill = made_up_text(*config.model.vocab_size);
  using enum ScheduleKind;
  for (const ScheduleKind schedule : {one_f_one_b, zero_bubble_h1, zero_bubble_v}) {
    const Layout layout{.micro_batch_size = 3, .pp = 2, .schedule = schedule};
    config.recompute.stages = {};
    const LayoutTrace kept = run_layout(config, layout, 3, fill);
    for (const char* other : {"selective", "none"}) {
      config.recompute.stages = {"full", other};
      const LayoutTrace repeated = run_layout(config, layout, 3, fill);
      EXPECT_EQ(repeated.losses, kept.losses);
      EXPECT_EQ(repeated.gradients, kept.gradients);
      EXPECT_EQ(repeated.trained, kept.trained);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, RecomputeRun,
                         ::testing::Values(Layout{.dp = 1, .tp = 1, .micro_batch_size = 4},
                                           Layout{.dp = 1, .tp = 2, .micro_batch_size = 4},
                                           Layout{.dp = 2, .tp = 2, .micro_batch_size = 3},
                                           Layout{.tp = 2, .micro_batch_size = 3, .cp = 2}),
                         [](const ::testing::TestParamInfo<Layout>& test) {
                           return fmt::format("Dp{}Tp{}Cp{}", test.param.dp, test.param.tp,
                                              test.param.cp);
                         });

// Bytes by arena of rank 0.
std::map<std::string, size_t> planned(RunConfig config, Recompute policy, int tp) {
  std::map<std::string, size_t> bytes;
  config.mesh.tp = tp;
  config.recompute.policy = policy;
  run_local_ranks(tp, [&](Bootstrap& bootstrap) {
    EngineRank rank(config, bootstrap);
    if (bootstrap.rank() != 0) return;
    for (const SegmentBytes& s : rank.engine().memory()) bytes[s.name] = s.bytes;
  });
  return bytes;
}

TEST(RecomputePlan, TakesTheMemoryThatIsKeptAndNoMore) {
  RunConfig config = char_run_with_everything();
  config.model.layers = 6;
  constexpr int64_t kF32 = 4;
  const int64_t rows = config.train.batch_size * config.model.context_length;  // R
  const int64_t width = config.model.width;
  for (const int64_t tp : {1, 2}) {
    const int64_t shared = rows / tp;  // S
    auto none = planned(config, Recompute::none, static_cast<int>(tp));
    auto selective = planned(config, Recompute::selective, static_cast<int>(tp));
    auto full = planned(config, Recompute::full, static_cast<int>(tp));
    // Two outputs of norms [S,C], the attention core's [R,C/tp] and its statistics [R,H/tp].
    const int64_t core = rows / tp * (width + config.model.heads);
    const int64_t dropped = config.model.layers * (2 * shared * width + core) * kF32;
    EXPECT_EQ(none["activations"] - selective["activations"], static_cast<size_t>(dropped));
    // The embedding's output, each block's, and the final norm's with its statistics: [S,C], [S].
    const int64_t inputs = (config.model.layers + 2) * shared * width + 2 * shared;
    EXPECT_EQ(full["activations"], static_cast<size_t>(inputs * kF32));
    const auto both = [](std::map<std::string, size_t>& plan) {
      return plan["activations"] + plan["workspace"];
    };
    EXPECT_LT(both(selective), both(none));
    EXPECT_LT(both(full), both(selective));
    for (const char* arena : {"weights", "gradients", "optimizer", "batch"}) {
      EXPECT_EQ(none[arena], full[arena]) << arena;
    }
  }
}

struct Sizes {
  const char* name;
  int64_t layers, heads, head_dim, mlp_width, samples, tokens;
  int tp;
  bool bias;
  int pp = 1, chunks = 1;
};

class KeptMemory : public ::testing::TestWithParam<Sizes> {};

// Nobody computes: a rank's forward over counting arenas, with ops and peers that do nothing.
TEST_P(KeptMemory, ShrinksWithThePolicyAndGoesWithBackward) {
  const Sizes& s = GetParam();
  GptConfig model;
  model.vocab_size = 37;
  model.context_length = s.tokens;
  model.layers = s.layers;
  model.heads = s.heads;
  model.width = s.heads * s.head_dim;
  model.mlp_width = s.mlp_width;
  model.bias = s.bias;
  const auto device = make_device({.threads = 1});
  const auto stream = device->make_stream(StreamKind::compute);
  const auto needs = make_working_memory({.threads = 1});
  const auto ops = make_counting_ops(*needs);
  const Chain chain{s.pp, s.chunks};
  const auto parts = static_cast<size_t>(chain.parts());
  const GptPartition partition(std::vector<int64_t>(parts, s.layers / chain.parts()), chain);
  for (int rank = 0; rank < s.tp * s.pp; ++rank) {
    const MeshCoord coord{.tp = rank % s.tp, .pp = rank / s.tp};
    const auto group = make_counting_communicator("tp", coord.tp, s.tp);
    ParameterSet parameters({.tp = s.tp, .pp = s.pp}, coord);
    Gpt gpt(model, partition, parameters);
    Arena weights("weights"), gradients("gradients"), activations("activations");
    Arena deferred("deferred"), work("work");
    parameters.allocate(weights, &gradients, DType::f32);
    const Tensor tokens(nullptr, Shape{s.samples, s.tokens}, DType::i32);
    const MicroBatch batch{tokens, tokens, 1.0, Tensor(nullptr, Shape{1}, DType::f64)};
    const Tensor boundary(nullptr, Shape{s.samples * s.tokens / s.tp, model.width}, DType::f32);
    std::vector<size_t> before(static_cast<size_t>(s.chunks), SIZE_MAX);  // of the policy before
    for (const Recompute policy : kPolicies) {
      Saved saved(activations, deferred);
      Context ctx{.ops = *ops,
                  .stream = *stream,
                  .work = work,
                  .recompute = policy,
                  .samples = s.samples,
                  .tokens = TokenShare::whole(s.tokens),
                  .axes = {}};
      ctx.axes[Axis::tp].group = s.tp > 1 ? group.get() : nullptr;
      for (int chunk = 0; chunk < s.chunks; ++chunk) {
        gpt.forward(chunk, batch, gpt.part(chunk).embeds ? Tensor() : boundary, saved, ctx);
        size_t& most = before[static_cast<size_t>(chunk)];
        EXPECT_LT(saved.bytes_held(), most)
            << "rank " << rank << ", chunk " << chunk << ", " << enum_name(policy);
        most = saved.bytes_held();
        gpt.backward(chunk, batch, boundary, saved, ctx);
        EXPECT_EQ(saved.bytes_held(), 0u);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Gpt, KeptMemory,
                         ::testing::Values(Sizes{"Even", 2, 4, 16, 256, 2, 32, 1, true},
                                           Sizes{"EvenTp2", 2, 4, 16, 256, 2, 32, 2, true},
                                           Sizes{"Odd", 3, 3, 5, 17, 3, 7, 1, false},
                                           Sizes{"OddMlpTp2", 3, 6, 3, 11, 2, 5, 2, true},
                                           Sizes{"OddTp3", 1, 3, 7, 20, 1, 9, 3, false},
                                           Sizes{"OneRowPerRank", 1, 4, 2, 9, 2, 2, 4, true},
                                           Sizes{"Stages", 4, 2, 5, 21, 2, 6, 1, true, 2, 2},
                                           Sizes{"StagesTp2", 4, 2, 5, 21, 2, 6, 2, false, 2, 2}),
                         [](const ::testing::TestParamInfo<Sizes>& test) {
                           return std::string(test.param.name);
                         });

}  // namespace
}  // namespace weft
