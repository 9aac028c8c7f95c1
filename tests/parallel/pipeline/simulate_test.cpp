#include "parallel/pipeline/simulate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "core/base/error.h"
#include "tests/parallel/pipeline/grid.h"

namespace weft {
namespace {

constexpr double kRounding = 1e-9;

// Forward, input gradient, weight gradient; backward is twice forward in the first.
const std::vector<StepCosts> kCosts = {{1, 1, 1}, {2, 3, 1}, {4, 3, 2}, {1, 0, 0}, {3, 2, 5}};

TEST(Simulate, TimesEveryStep) {
  const Schedule schedule = make_schedule(ScheduleKind::one_f_one_b, {2, 2});
  ASSERT_EQ(steps_text(schedule),
            "stage 0: F0 a0> F1 a1> >g0 B0 >g1 B1\n"
            "stage 1: >a0 F0 B0 g0> >a1 F1 B1 g1>\n");
  const Timeline timeline = simulate(schedule, {1, 1, 1, 0.5});
  const std::vector<std::vector<std::pair<double, double>>> expected = {
      {{0, 1}, {1, 1}, {1, 2}, {2, 2}, {2, 5}, {5, 7}, {7, 8}, {8, 10}},
      {{0, 1.5},
       {1.5, 2.5},
       {2.5, 4.5},
       {4.5, 4.5},
       {4.5, 4.5},
       {4.5, 5.5},
       {5.5, 7.5},
       {7.5, 7.5}}};
  for (int stage = 0; stage < 2; ++stage) {
    ASSERT_EQ(timeline.stages[stage].size(), expected[stage].size());
    for (size_t i = 0; i < expected[stage].size(); ++i) {
      EXPECT_EQ(timeline.stages[stage][i].start, expected[stage][i].first) << stage << " " << i;
      EXPECT_EQ(timeline.stages[stage][i].end, expected[stage][i].second) << stage << " " << i;
    }
  }
  EXPECT_EQ(timeline.total, 10);
  EXPECT_EQ(timeline.busy, 6);
  EXPECT_EQ(timeline.idle(), 4);
  EXPECT_EQ(timeline.bubble(), 0.4);
}

// arXiv 2104.04473: idle time (p - 1)(tF + tB + tW), which is (p - 1)/(m + p - 1) of the wall
// clock.
TEST(Simulate, GpipeAndOneForwardOneBackwardIdleAsPublished) {
  for (ScheduleKind kind : {ScheduleKind::gpipe, ScheduleKind::one_f_one_b}) {
    for_each_shape(kind, [](const Schedule& schedule, const PipelineShape& shape) {
      const auto [p, m, v] = shape;
      for (const StepCosts& costs : kCosts) {
        const Timeline timeline = simulate(schedule, costs);
        const double work = costs.forward + costs.backward + costs.backward_weights;
        EXPECT_NEAR(timeline.busy, m * work, kRounding);
        EXPECT_NEAR(timeline.idle(), (p - 1) * work, kRounding);
        EXPECT_NEAR(timeline.bubble(), (p - 1.0) / (m + p - 1.0), kRounding);
      }
    });
  }
}

// The same paper: chunks divide the idle time.
TEST(Simulate, InterleavingDividesTheIdleTimeByTheChunks) {
  for_each_shape(ScheduleKind::interleaved_1f1b,
                 [](const Schedule& schedule, const PipelineShape& shape) {
                   const auto [p, m, v] = shape;
                   for (const StepCosts& costs : kCosts) {
                     const Timeline timeline = simulate(schedule, costs);
                     const double work = costs.forward + costs.backward + costs.backward_weights;
                     EXPECT_NEAR(timeline.idle(), (p - 1) * work / v, kRounding);
                     EXPECT_NEAR(timeline.bubble(), (p - 1.0) / (v * m + p - 1.0), kRounding);
                   }
                 });
}

// arXiv 2401.10241: idle time (p - 1)(tF + tB - tW) if the step fills the pipeline. With fewer
// micro-batches than stages there are m - 1 weight gradients to fill it with instead of p - 1. That
// takes weight gradients no longer than what they stand in for, a forward or an input gradient.
TEST(Simulate, ZeroBubbleIdlesAsPublished) {
  for_each_shape(
      ScheduleKind::zero_bubble_h1, [](const Schedule& schedule, const PipelineShape& shape) {
        const auto [p, m, v] = shape;
        int published = 0;
        for (const StepCosts& costs : kCosts) {
          const auto [f, b, w, transfer] = costs;
          if (w > std::min(f, b)) continue;
          const Timeline timeline = simulate(schedule, costs);
          const double idle = m >= p ? (p - 1) * (f + b - w) : (p - 1) * (f + b) - (m - 1) * w;
          EXPECT_NEAR(timeline.idle(), idle, kRounding);
          ++published;
        }
        EXPECT_EQ(published, 4);
      });
}

// What is left when the weight gradient is the longest part.
TEST(Simulate, ZeroBubbleIsNeverSlowerThanOneForwardOneBackward) {
  for_each_shape(
      ScheduleKind::zero_bubble_h1, [](const Schedule& schedule, const PipelineShape& shape) {
        const Schedule plain = make_schedule(ScheduleKind::one_f_one_b, shape);
        for (const StepCosts& costs : kCosts) {
          EXPECT_LE(simulate(schedule, costs).total, simulate(plain, costs).total + kRounding);
        }
      });
}

// arXiv 2401.10241, section 6: no stage waits between its first and its last step where all three
// parts cost the same and enough micro-batches fill the pipeline. What is left is the ramp: a chunk
// of forward for each stage that the first micro-batch passes on its way down.
TEST(Simulate, ZeroBubbleVIdlesInItsRampAlone) {
  for_each_shape(ScheduleKind::zero_bubble_v,
                 [](const Schedule& schedule, const PipelineShape& shape) {
                   if (shape.microbatches < 2 * shape.stages - 1) return;
                   const Timeline timeline = simulate(schedule, {1, 1, 1});
                   EXPECT_NEAR(timeline.idle(), (shape.stages - 1) / 2.0, kRounding);
                   for (int stage = 0; stage < shape.stages; ++stage) {
                     double first = -1, last = 0;
                     for (size_t i = 0; i < schedule.stages[stage].size(); ++i) {
                       if (is_transfer(schedule.stages[stage][i].act)) continue;
                       if (first < 0) first = timeline.stages[stage][i].start;
                       last = timeline.stages[stage][i].end;
                     }
                     EXPECT_NEAR(last - first, timeline.busy, kRounding) << "stage " << stage;
                   }
                 });
}

// Where the parts differ there is no such formula. A weight gradient that is no longer than the
// others leaves half of what ZB-H1 idles, or nearly so.
TEST(Simulate, ZeroBubbleVIsFasterThanOtherSchedulesWithTheSameMemory) {
  for_each_shape(
      ScheduleKind::zero_bubble_v, [](const Schedule& schedule, const PipelineShape& shape) {
        const auto [p, m, v] = shape;
        if (m < 2 * p - 1) return;
        for (const StepCosts& costs : {StepCosts{1, 1, 1}, {2, 3, 1}, {4, 3, 2}, {3, 3, 2}}) {
          const double h1 = (p - 1) * (costs.forward + costs.backward - costs.backward_weights);
          EXPECT_LE(simulate(schedule, costs).idle(), h1 / 2 + kRounding) << costs.forward;
        }
      });
}

// Steps of a stage follow each other without overlap, messages arrive before they are used, and
// transfers only ever cost time.
TEST(Simulate, ObeysOrderAndArrival) {
  for (ScheduleKind kind : schedule_kinds()) {
    for_each_shape(kind, [](const Schedule& schedule, const PipelineShape& shape) {
      constexpr double kTransfer = 0.25;
      const Timeline timeline = simulate(schedule, {2, 3, 1, kTransfer});
      std::map<std::vector<int>, double> sent;
      const auto key = [](int stage, const Step& step) {
        return std::vector<int>{stage, static_cast<int>(step.act), step.microbatch, step.chunk};
      };
      for (int stage = 0; stage < shape.stages; ++stage) {
        double clock = 0;
        for (size_t i = 0; i < schedule.stages[stage].size(); ++i) {
          const Span span = timeline.stages[stage][i];
          EXPECT_EQ(span.start, clock);
          clock = span.end;
          const Step& step = schedule.stages[stage][i];
          if (!is_send(step.act)) continue;
          const Peer peer = *peer_of(schedule, stage, step);
          sent[key(peer.stage, peer.step)] = span.start;
        }
        EXPECT_LE(clock, timeline.total);
      }
      for (int stage = 0; stage < shape.stages; ++stage) {
        for (size_t i = 0; i < schedule.stages[stage].size(); ++i) {
          const Step& step = schedule.stages[stage][i];
          if (!is_receive(step.act)) continue;
          EXPECT_GE(timeline.stages[stage][i].end, sent.at(key(stage, step)) + kTransfer);
        }
      }
      EXPECT_GE(timeline.total, simulate(schedule, {2, 3, 1, 0}).total);
    });
  }
}

// The figures that a reader may compare with table 5 of arXiv 2401.10241, whose profiled bubbles
// also hold transfers and uneven stages: 8 stages, 24, 32 and 64 micro-batches.
TEST(Simulate, GivesTheBubblesOfEightStages) {
  const auto bubble = [](int m) {
    return simulate(make_schedule(ScheduleKind::one_f_one_b, {8, m}), {}).bubble();
  };
  EXPECT_NEAR(bubble(24), .2258, 5e-5);
  EXPECT_NEAR(bubble(32), .1795, 5e-5);
  EXPECT_NEAR(bubble(64), .0986, 5e-5);
}

TEST(Simulate, RefusesCostsThatAreNoTimes) {
  const Schedule schedule = make_schedule(ScheduleKind::gpipe, {2, 2});
  for (double cost : {-1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    for (const StepCosts& costs : {StepCosts{cost, 1, 1}, StepCosts{1, cost, 1},
                                   StepCosts{1, 1, cost}, StepCosts{1, 1, 1, cost}}) {
      EXPECT_THROW(simulate(schedule, costs), Error);
    }
  }
  EXPECT_EQ(simulate(schedule, {0, 0, 0}).bubble(), 0);
}

}  // namespace
}  // namespace weft
