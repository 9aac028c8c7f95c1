// The formulas against the tables of their papers.
#include "launch/plan/published.h"

#include <gtest/gtest.h>

namespace weft::published {
namespace {

constexpr double kGib = 1 << 30;

struct ZeroRow {
  int ranks;
  double bytes[3][3];  // 7.5B, 128B, 1T; stages 1, 2, 3; in 10^9 bytes
};

// Table 1 of arXiv 1910.02054, which cuts digits off.
constexpr ZeroRow kZero[] = {
    {1, {{120, 120, 120}, {2048, 2048, 2048}, {16000, 16000, 16000}}},
    {4, {{52.5, 41.3, 30}, {896, 704, 512}, {7000, 5500, 4000}}},
    {16, {{35.6, 21.6, 7.5}, {608, 368, 128}, {4750, 2875, 1000}}},
    {64, {{31.4, 16.6, 1.88}, {536, 284, 32}, {4187, 2218, 250}}},
    {256, {{30.4, 15.4, 0.47}, {518, 263, 8}, {4046, 2054, 62.5}}},
    {1024, {{30.1, 15.1, 0.12}, {513, 257, 2}, {4011, 2013, 15.6}}},
};

TEST(ModelStates, AreThoseOfTheZeroPaper) {
  constexpr double kParameters[] = {7.5e9, 128e9, 1e12};
  for (const ZeroRow& row : kZero) {
    for (int model = 0; model < 3; ++model) {
      for (int stage = 1; stage <= 3; ++stage) {
        const double published = row.bytes[model][stage - 1] * 1e9;
        const double computed = model_state_bytes(kParameters[model], row.ranks, stage);
        // 0.12 stands for 0.117; all others are within 1 %.
        EXPECT_NEAR(computed, published, published < 1e9 ? 0.005e9 : 0.01 * published)
            << kParameters[model] << " on " << row.ranks << ", stage " << stage;
      }
    }
  }
}

struct MegatronRow {
  const char* name;
  double heads, width, layers;
  double tensor_ranks, stages, chunks, micro_batch;
  double none, sequence_parallel, selective, both, full;  // GiB on the first stage
};

// Tables 3 and 5 of arXiv 2205.05198 with sequences of 2048 tokens, in GiB by its formulas;
// Calculon (github.com/calculon-ai/calculon) has the first, fourth and last digits too.
constexpr MegatronRow kMegatron[] = {
    {"22B", 64, 6144, 48, 8, 1, 1, 4, 59.250, 39.563, 29.250, 9.5625, 4.500},
    {"175B", 96, 12288, 96, 8, 8, 3, 1, 66.844, 41.414, 37.781, 12.352, 5.813},
    {"530B", 128, 20480, 105, 8, 35, 3, 1, 114.023, 66.514, 70.586, 23.076, 10.859},
    {"1T", 160, 25600, 128, 8, 64, 1, 1, 131.250, 76.563, 81.250, 26.563, 12.500},
};

TEST(Activations, AreThoseOfTheRecomputationPaper) {
  for (const MegatronRow& row : kMegatron) {
    const Layer layer{2048, row.micro_batch, row.width, row.heads, row.tensor_ranks};
    const double held = layers_held(row.layers, row.stages, row.chunks);
    const auto gib = [&](bool sequence_parallel, Recompute recompute) {
      return held * activation_bytes(layer, sequence_parallel, recompute) / kGib;
    };
    EXPECT_NEAR(gib(false, Recompute::none), row.none, 0.001) << row.name;
    EXPECT_NEAR(gib(true, Recompute::none), row.sequence_parallel, 0.001) << row.name;
    EXPECT_NEAR(gib(false, Recompute::selective), row.selective, 0.001) << row.name;
    EXPECT_NEAR(gib(true, Recompute::selective), row.both, 0.001) << row.name;
    EXPECT_NEAR(gib(true, Recompute::full), row.full, 0.001) << row.name;
  }
}

}  // namespace
}  // namespace weft::published
