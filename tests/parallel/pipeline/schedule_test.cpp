#include "parallel/pipeline/schedule.h"

#include <gtest/gtest.h>

#include "parallel/pipeline/generators.h"

namespace weft {
namespace {

TEST(Schedule, NamesTheOtherEndOfEachTransfer) {
  const Schedule schedule = make_schedule(ScheduleKind::interleaved_1f1b, {3, 3, 2});
  const auto peer = [&](int stage, Step step, int peer_stage, Step peer_step) {
    const std::optional<Peer> found = peer_of(schedule, stage, step);
    return found && found->stage == peer_stage && found->step == peer_step;
  };
  EXPECT_TRUE(peer(0, {Act::send_act, 2, 0}, 1, {Act::recv_act, 2, 0}));
  EXPECT_TRUE(peer(2, {Act::send_act, 2, 0}, 0, {Act::recv_act, 2, 1}));
  EXPECT_TRUE(peer(0, {Act::recv_act, 2, 1}, 2, {Act::send_act, 2, 0}));
  EXPECT_TRUE(peer(0, {Act::send_grad, 1, 1}, 2, {Act::recv_grad, 1, 0}));
  EXPECT_TRUE(peer(2, {Act::recv_grad, 1, 0}, 0, {Act::send_grad, 1, 1}));
  EXPECT_FALSE(peer_of(schedule, 0, {Act::recv_act, 0, 0}));
  EXPECT_FALSE(peer_of(schedule, 0, {Act::send_grad, 0, 0}));
  EXPECT_FALSE(peer_of(schedule, 2, {Act::send_act, 0, 1}));
  EXPECT_FALSE(peer_of(schedule, 2, {Act::recv_grad, 0, 1}));
  EXPECT_FALSE(peer_of(schedule, 1, {Act::forward, 0, 0}));
}

TEST(Schedule, OneStageHasNobodyToTalkTo) {
  const Schedule schedule = make_schedule(ScheduleKind::interleaved_1f1b, {1, 2, 2});
  EXPECT_FALSE(peer_of(schedule, 0, {Act::send_act, 0, 0}));
  EXPECT_EQ(steps_text(schedule), "stage 0: F0.0 F0.1 B0.1 F1.0 B0.0 F1.1 B1.1 B1.0\n");
}

TEST(Schedule, HandsOverWithinTheStageWhereAChainTurns) {
  const Schedule schedule = make_schedule(ScheduleKind::zero_bubble_v, {3, 3, 2});
  const auto peer_stage = [&](int stage, Act act, int chunk) {
    const std::optional<Peer> found = peer_of(schedule, stage, {act, 0, chunk});
    return found ? found->stage : -1;
  };
  EXPECT_EQ(peer_stage(0, Act::send_act, 0), 1);
  EXPECT_EQ(peer_stage(1, Act::send_act, 1), 0);
  EXPECT_EQ(peer_stage(1, Act::send_grad, 1), 2);
  EXPECT_EQ(peer_stage(2, Act::send_act, 0), -1);
  EXPECT_EQ(peer_stage(2, Act::send_grad, 1), -1);
  EXPECT_EQ(chunk_above(schedule, 2, 0), 1);
  EXPECT_EQ(chunk_below(schedule, 2, 1), 0);
  EXPECT_FALSE(chunk_above(schedule, 0, 1));
  EXPECT_FALSE(chunk_below(schedule, 1, 1));
}

TEST(Schedule, PrintsItself) {
  const Schedule schedule = make_schedule(ScheduleKind::one_f_one_b, {2, 2});
  EXPECT_EQ(description(schedule), "1f1b: 2 stages, 2 micro-batches");
  EXPECT_EQ(steps_text(schedule),
            "stage 0: F0 a0> F1 a1> >g0 B0 >g1 B1\n"
            "stage 1: >a0 F0 B0 g0> >a1 F1 B1 g1>\n");
  EXPECT_EQ(description(make_schedule(ScheduleKind::interleaved_1f1b, {1, 1, 3})),
            "interleaved: 1 stage, 1 micro-batch, 3 chunks per stage");
}

}  // namespace
}  // namespace weft
