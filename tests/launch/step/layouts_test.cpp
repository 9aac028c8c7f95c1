// The same run on one rank, in micro-batches and on several ranks: the same weights to begin with,
// the same gradients, losses and evaluation up to rounding.
#include <fmt/core.h>

#include <cmath>
#include <limits>

#include "launch/verify/verify.h"
#include "tests/launch/engine_rank.h"

namespace weft {
namespace {

constexpr int64_t kSteps = 20;
// Layouts differ in the order in which the same products are summed. A gradient is a sum over the
// tokens of the batch, here n = 768, and a sum of n terms in f32 whose roundings are independent is
// off by about sqrt(n) 2^-24 = 1.7e-6 of its largest partial sum. Losses are sums in f64 of f32
// terms whose errors average out. Weights and moments after 20 steps have no such bound here: AdamW
// with its usual eps turns the rounding of a vanishing gradient into whole steps (docs/verify.md).
constexpr double kGradientBound = 1.7e-6;
constexpr double kLossBound = 1e-6;
constexpr double kAny = std::numeric_limits<double>::infinity();
const Bounds kBounds{.gradient = kGradientBound,
                     .moment = kAny,
                     .update = kAny,
                     .rounding = kAny,
                     .loss = kLossBound};

constexpr Layout kWhole{.micro_batch_size = 12};
using enum ScheduleKind;
constexpr Layout kOthers[] = {{1, 1, 4},
                              {2, 1, 3},
                              {4, 1, 3},
                              {1, 2, 12},
                              {1, 4, 3},
                              {2, 2, 6},
                              {2, 2, 3, 1},
                              {3, 1, 2, 2},
                              {1, 1, 3, 0, 2, gpipe},
                              {1, 1, 2, 0, 2, one_f_one_b},
                              {1, 2, 3, 0, 2, zero_bubble_h1},
                              {2, 1, 3, 1, 2, interleaved_1f1b},
                              {2, 1, 3, 3, 2, one_f_one_b},
                              {2, 1, 2, 1, 2, zero_bubble_v},
                              {1, 2, 3, 0, 2, zero_bubble_v},
                              {.micro_batch_size = 12, .cp = 2},
                              {.micro_batch_size = 3, .zero = 1, .cp = 4},
                              {.tp = 2, .micro_batch_size = 6, .cp = 2},
                              {.micro_batch_size = 3, .pp = 2, .schedule = zero_bubble_h1, .cp = 2},
                              {.dp = 2, .micro_batch_size = 3, .zero = 3, .cp = 2}};

class Layouts : public ::testing::TestWithParam<RunConfig (*)()> {};

TEST_P(Layouts, TrainAlike) {
  const RunConfig config = GetParam()();
  const FillSample fill = made_up_text(*config.model.vocab_size);
  const LayoutTrace whole = run_layout(config, kWhole, kSteps, fill);
  EXPECT_LT(whole.losses.back(), whole.losses.front());
  for (const Layout& layout : kOthers) {
    const Comparison c = compare(layout, run_layout(config, layout, kSteps, fill), whole, kBounds);
    EXPECT_TRUE(c.ok) << to_string(layout) << ": " << c.worst << " is off by " << c.error;
    RecordProperty(to_string(layout), fmt::format("{:.2e} ({})", c.error, c.worst));
  }
}

TEST_P(Layouts, EvaluateAlike) {
  constexpr int64_t kSamples = 25;  // no multiple of anything here
  const auto evaluate = [](const RunConfig& given, const Layout& layout) {
    const RunConfig config = with_layout(given, layout);
    double loss = 0;
    run_local_ranks(layout.ranks(), [&](Bootstrap& bootstrap) {
      EngineRank rank(config, bootstrap);
      const double mine = rank.evaluate(kSamples);
      if (bootstrap.rank() == 0) loss = mine;
    });
    return loss;
  };
  const double whole = evaluate(GetParam()(), kWhole);
  for (const Layout& layout : kOthers) {
    const double loss = evaluate(GetParam()(), layout);
    EXPECT_LE(std::abs(loss - whole) / whole, kLossBound) << to_string(layout);
  }
}

// Every schedule adds the gradients of a weight in the order of the micro-batches.
TEST_P(Layouts, GiveTheSameBitsUnderEverySchedule) {
  const RunConfig config = GetParam()();
  const auto train = [&](ScheduleKind schedule) {
    const Layout layout{.micro_batch_size = 3, .pp = 2, .schedule = schedule};
    return run_layout(config, layout, 3, made_up_text(*config.model.vocab_size));
  };
  const LayoutTrace one = train(one_f_one_b);
  for (const ScheduleKind schedule : {gpipe, interleaved_1f1b, zero_bubble_h1, zero_bubble_v}) {
    const LayoutTrace other = train(schedule);
    EXPECT_EQ(other.losses, one.losses) << name(schedule);
    EXPECT_EQ(other.grad_norms, one.grad_norms) << name(schedule);
    EXPECT_EQ(other.trained, one.trained) << name(schedule);
  }
}

INSTANTIATE_TEST_SUITE_P(Gpt, Layouts, ::testing::Values(&char_run, &char_run_with_everything),
                         [](const ::testing::TestParamInfo<RunConfig (*)()>& test) {
                           return test.param == &char_run ? "Char" : "CharWithEverything";
                         });

}  // namespace
}  // namespace weft
