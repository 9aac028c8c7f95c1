#include "parallel/pipeline/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "parallel/pipeline/generators.h"
#include "tests/parallel/pipeline/grid.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

std::string fault(const Schedule& schedule, Sends sends = Sends::buffered) {
  return find_fault(schedule, sends).value_or("sound");
}

std::vector<Schedule> samples() {
  return {make_schedule(ScheduleKind::gpipe, {3, 4}),
          make_schedule(ScheduleKind::one_f_one_b, {4, 6}),
          make_schedule(ScheduleKind::interleaved_1f1b, {2, 4, 2}),
          make_schedule(ScheduleKind::interleaved_1f1b, {1, 2, 3}),
          make_schedule(ScheduleKind::zero_bubble_h1, {3, 5}),
          make_schedule(ScheduleKind::zero_bubble_v, {3, 4, 2})};
}

// Calls check(mutant, stage, step, text) with mutate(steps, index) applied to every step in turn.
template <typename Mutate, typename Check>
void for_each_mutant(Mutate mutate, Check check) {
  for (const Schedule& schedule : samples()) {
    for (int stage = 0; stage < schedule.stage_count(); ++stage) {
      for (size_t i = 0; i < schedule.stages[stage].size(); ++i) {
        Schedule mutant = schedule;
        const Step step = schedule.stages[stage][i];
        mutate(mutant.stages[stage], i);
        SCOPED_TRACE(description(schedule) + ", step " + std::to_string(i) + " of stage " +
                     std::to_string(stage));
        check(mutant, step_text(schedule, step));
      }
    }
  }
}

TEST(FindFault, SeesEveryDroppedStep) {
  for_each_mutant([](std::vector<Step>& steps, size_t i) { steps.erase(steps.begin() + i); },
                  [](const Schedule& mutant, const std::string& step) {
                    EXPECT_THAT(fault(mutant), HasSubstr(": " + step + " is missing"));
                  });
}

TEST(FindFault, SeesEveryRepeatedStep) {
  for_each_mutant(
      [](std::vector<Step>& steps, size_t i) { steps.insert(steps.begin() + i, steps[i]); },
      [](const Schedule& mutant, const std::string& step) {
        EXPECT_THAT(fault(mutant), HasSubstr(": " + step + " is done twice"));
      });
}

TEST(FindFault, SeesEveryStepOutOfRange) {
  for_each_mutant([](std::vector<Step>& steps, size_t i) { steps[i].microbatch += 100; },
                  [](const Schedule& mutant, const std::string&) {
                    EXPECT_THAT(fault(mutant), HasSubstr(", micro-batch 10"));
                  });
  for_each_mutant([](std::vector<Step>& steps, size_t i) { steps[i].chunk = -1; },
                  [](const Schedule& mutant, const std::string&) {
                    EXPECT_THAT(fault(mutant), HasSubstr(", chunk -1"));
                  });
}

// Whether b needs a to have been done on the same stage, for steps next to each other.
bool depends(const Step& a, const Step& b) {
  if (a.microbatch != b.microbatch) return false;
  if (a.chunk != b.chunk) return false;
  const auto is = [&](Act first, Act second) { return a.act == first && b.act == second; };
  return is(Act::recv_act, Act::forward) || is(Act::forward, Act::send_act) ||
         is(Act::forward, Act::backward) || is(Act::recv_grad, Act::backward) ||
         is(Act::backward, Act::send_grad) || is(Act::backward, Act::backward_weights);
}

TEST(FindFault, SeesEverySwapOfDependentNeighbours) {
  int swaps = 0;
  for (const Schedule& schedule : samples()) {
    for (int stage = 0; stage < schedule.stage_count(); ++stage) {
      for (size_t i = 0; i + 1 < schedule.stages[stage].size(); ++i) {
        Schedule mutant = schedule;
        std::vector<Step>& steps = mutant.stages[stage];
        if (!depends(steps[i], steps[i + 1])) continue;
        std::swap(steps[i], steps[i + 1]);
        ++swaps;
        EXPECT_THAT(fault(mutant), HasSubstr(step_text(mutant, steps[i]) + " comes before " +
                                             step_text(mutant, steps[i + 1])));
      }
    }
  }
  EXPECT_GT(swaps, 100);
}

TEST(FindFault, SeesChunksOfOneStageOutOfOrder) {
  Schedule schedule = make_schedule(ScheduleKind::interleaved_1f1b, {1, 1, 2});
  ASSERT_EQ(steps_text(schedule), "stage 0: F0.0 F0.1 B0.1 B0.0\n");
  Schedule forwards = schedule, backwards = schedule;
  std::swap(forwards.stages[0][0], forwards.stages[0][1]);
  std::swap(backwards.stages[0][2], backwards.stages[0][3]);
  EXPECT_EQ(fault(forwards), "stage 0: F0.1 comes before F0.0");
  EXPECT_EQ(fault(backwards), "stage 0: B0.0 comes before B0.1");
}

// The stage where a v turns receives nothing for its second chunk.
TEST(FindFault, SeesChunksOutOfOrderWhereAChainTurns) {
  Schedule schedule = make_schedule(ScheduleKind::zero_bubble_v, {2, 1, 2});
  ASSERT_EQ(steps_text(schedule),
            "stage 0: F0.0 a0.0> >a0.1 F0.1 B0.1 g0.1> W0.1 >g0.0 B0.0 W0.0\n"
            "stage 1: >a0.0 F0.0 F0.1 a0.1> >g0.1 B0.1 B0.0 g0.0> W0.1 W0.0\n");
  std::vector<Step>& steps = schedule.stages[1];
  std::swap(steps[1], steps[2]);
  EXPECT_EQ(fault(schedule), "stage 1: F0.1 comes before F0.0");
  std::swap(steps[1], steps[2]);
  std::swap(steps[5], steps[6]);
  EXPECT_EQ(fault(schedule), "stage 1: B0.0 comes before B0.1");
}

TEST(FindFault, SeesMessagesThatOvertake) {
  Schedule schedule = make_schedule(ScheduleKind::gpipe, {2, 2});
  ASSERT_EQ(steps_text(schedule),
            "stage 0: F0 a0> F1 a1> >g0 B0 >g1 B1\n"
            "stage 1: >a0 F0 >a1 F1 B0 g0> B1 g1>\n");
  std::swap(schedule.stages[1][0], schedule.stages[1][2]);
  std::swap(schedule.stages[1][1], schedule.stages[1][3]);
  EXPECT_EQ(fault(schedule), "stage 1: >a0 comes after >a1, but stage 0 sends it before");
}

TEST(FindFault, SeesDeadlocks) {
  Schedule schedule = make_schedule(ScheduleKind::one_f_one_b, {2, 2});
  ASSERT_EQ(steps_text(schedule),
            "stage 0: F0 a0> F1 a1> >g0 B0 >g1 B1\n"
            "stage 1: >a0 F0 B0 g0> >a1 F1 B1 g1>\n");
  // Stage 0 wants the gradient of 0 before it sends 1, stage 1 wants 1 before it sends that.
  schedule.stages[0] = {{Act::forward, 0, 0},   {Act::send_act, 0, 0}, {Act::recv_grad, 0, 0},
                        {Act::backward, 0, 0},  {Act::forward, 1, 0},  {Act::send_act, 1, 0},
                        {Act::recv_grad, 1, 0}, {Act::backward, 1, 0}};
  schedule.stages[1] = {{Act::recv_act, 0, 0}, {Act::forward, 0, 0},  {Act::recv_act, 1, 0},
                        {Act::forward, 1, 0},  {Act::backward, 0, 0}, {Act::send_grad, 0, 0},
                        {Act::backward, 1, 0}, {Act::send_grad, 1, 0}};
  for (Sends sends : {Sends::buffered, Sends::blocking}) {
    EXPECT_EQ(fault(schedule, sends),
              "deadlock: stage 0: >g0 waits for stage 1: g0>, which waits in >a1");
  }
}

// Both stages send before they receive: an exchange holds them if it is one set, or if a buffer
// takes what is sent; a forward in between makes two sets of it, and only the buffer helps.
TEST(FindFault, TellsBlockingFromBufferedSends) {
  Schedule schedule = make_schedule(ScheduleKind::one_f_one_b, {2, 3});
  ASSERT_EQ(steps_text(schedule),
            "stage 0: F0 a0> F1 a1> >g0 B0 F2 a2> >g1 B1 >g2 B2\n"
            "stage 1: >a0 F0 B0 g0> >a1 F1 B1 g1> >a2 F2 B2 g2>\n");
  std::vector<Step>& steps = schedule.stages[0];
  std::rotate(steps.begin() + 4, steps.begin() + 6, steps.begin() + 7);
  ASSERT_EQ(steps_text(schedule),
            "stage 0: F0 a0> F1 a1> F2 >g0 B0 a2> >g1 B1 >g2 B2\n"
            "stage 1: >a0 F0 B0 g0> >a1 F1 B1 g1> >a2 F2 B2 g2>\n");
  EXPECT_EQ(fault(schedule, Sends::blocking), "sound");  // stage 1 posts g0> and >a1 together
  std::vector<Step>& second = schedule.stages[1];
  second.insert(second.begin() + 4, {Act::backward_weights, 0, 0});
  schedule.split_backward = true;
  EXPECT_THAT(fault(schedule, Sends::buffered), HasSubstr("is missing"));
  for (int microbatch : {1, 2}) second.push_back({Act::backward_weights, microbatch, 0});
  for (int microbatch : {0, 1, 2}) steps.push_back({Act::backward_weights, microbatch, 0});
  EXPECT_EQ(fault(schedule, Sends::buffered), "sound");
  EXPECT_EQ(fault(schedule, Sends::blocking),
            "deadlock: stage 0: a1> waits for stage 1: >a1, which waits in g0>");
}

TEST(FindFault, RefusesWeightStepsThatWereNotAnnounced) {
  Schedule schedule = make_schedule(ScheduleKind::zero_bubble_h1, {2, 2});
  schedule.split_backward = false;
  EXPECT_THAT(fault(schedule), HasSubstr("W0 in a schedule that does not split backward"));
}

TEST(FindFault, RefusesTransfersWithoutAnotherEnd) {
  Schedule schedule = make_schedule(ScheduleKind::gpipe, {2, 1});
  schedule.stages[0].push_back({Act::send_grad, 0, 0});
  EXPECT_EQ(fault(schedule), "stage 0: g0> has no other end");
  EXPECT_EQ(fault(Schedule{}), "0 stages, 0 micro-batches, 1 chunks");
}

TEST(InFlight, GpipeHoldsAllMicrobatches) {
  for_each_shape(ScheduleKind::gpipe, [](const Schedule& schedule, const PipelineShape& shape) {
    for (const InFlight& peak : peak_in_flight(schedule)) {
      EXPECT_EQ(peak.held, shape.microbatches);
      EXPECT_EQ(peak.awaiting_backward, shape.microbatches);
    }
  });
}

TEST(InFlight, OneForwardOneBackwardHoldsWhatIsAheadInThePipeline) {
  for_each_shape(ScheduleKind::one_f_one_b,
                 [](const Schedule& schedule, const PipelineShape& shape) {
                   const std::vector<InFlight> peaks = peak_in_flight(schedule);
                   for (int stage = 0; stage < shape.stages; ++stage) {
                     const int expected = std::min(shape.stages - stage, shape.microbatches);
                     EXPECT_EQ(peaks[stage].held, expected);
                     EXPECT_EQ(peaks[stage].awaiting_backward, expected);
                   }
                 });
}

// The peak of 1F1B times 1 + (p - 1) / (p v), in chunks of 1/v of a stage: p v + p - 1. A step that
// is too short to fill the pipeline holds all it has.
TEST(InFlight, InterleavedHoldsTheFactorOfThePaper) {
  for_each_shape(ScheduleKind::interleaved_1f1b,
                 [](const Schedule& schedule, const PipelineShape& shape) {
                   const auto [p, m, v] = shape;
                   const std::vector<InFlight> peaks = peak_in_flight(schedule);
                   EXPECT_EQ(peaks[0].held, std::min(p * v + p - 1, m * v));
                   for (const InFlight& peak : peaks) EXPECT_LE(peak.held, peaks[0].held);
                 });
}

// No stage of ZB-H1 holds more than the first stage of 1F1B, even if nothing of an activation can
// be freed before its weight gradient; what waits for backward is what waits in 1F1B.
TEST(InFlight, ZeroBubbleStaysWithinOneForwardOneBackward) {
  for_each_shape(ScheduleKind::zero_bubble_h1, [](const Schedule& schedule,
                                                  const PipelineShape& shape) {
    const std::vector<InFlight> peaks = peak_in_flight(schedule);
    for (int stage = 0; stage < shape.stages; ++stage) {
      EXPECT_EQ(peaks[stage].held, std::min(shape.stages, shape.microbatches));
      EXPECT_EQ(peaks[stage].awaiting_backward, std::min(shape.stages - stage, shape.microbatches));
    }
  });
}

// Nor does any of ZB-V, in chunks of half a stage.
TEST(InFlight, ZeroBubbleVStaysWithinOneForwardOneBackward) {
  for_each_shape(ScheduleKind::zero_bubble_v,
                 [](const Schedule& schedule, const PipelineShape& shape) {
                   for (const InFlight& peak : peak_in_flight(schedule)) {
                     EXPECT_LE(peak.held, 2 * std::min(shape.stages, shape.microbatches));
                   }
                 });
}

}  // namespace
}  // namespace weft
