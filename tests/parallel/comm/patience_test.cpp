#include "parallel/comm/patience.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "core/base/error.h"

namespace weft {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::HasSubstr;

// What never comes.
bool nothing(milliseconds time) {
  std::this_thread::sleep_for(time);
  return false;
}

std::string error_of(Patience& patience, const std::string& who_waits) {
  try {
    patience.wait(nothing, [&] { return who_waits; });
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::peer);
    return error.what();
  }
  return "no error";
}

TEST(Patience, EndsAfterTheDeadlineNamingTheWait) {
  Patience patience(milliseconds(20));
  EXPECT_EQ(error_of(patience, "rank 0 waits for rank 1"),
            "rank 0 waits for rank 1, no answer within 0.02 s");
}

TEST(Patience, SaysWhoIsWaitedForBeforeItEnds) {
  Patience patience(milliseconds(50));
  ::testing::internal::CaptureStderr();
  error_of(patience, "barrier: rank 0 waits for rank 1");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              HasSubstr("weft: warning: barrier: rank 0 waits for rank 1, since "));
}

TEST(Patience, OfAWaitThatEndsInTimeSaysNothing) {
  Patience patience(hours(1));
  ::testing::internal::CaptureStderr();
  int parts = 0;
  patience.wait([&](milliseconds) { return ++parts == 3; }, [] { return std::string("nobody"); });
  EXPECT_EQ(parts, 3);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

// The second wait would last for an hour, and so would the third.
TEST(Patience, OneWaitThatLastsTooLongEndsTheOthers) {
  Patience patience(hours(1));
  std::string other;
  std::jthread background([&] { other = error_of(patience, "background"); });
  patience.set_deadline(milliseconds(20));
  const std::string mine = error_of(patience, "foreground");
  patience.set_deadline(hours(1));
  background.join();
  EXPECT_EQ(other, mine);
  EXPECT_EQ(error_of(patience, "queued behind them"), mine);
}

TEST(Patience, APeerThatHasGoneEndsTheOtherWaits) {
  Patience patience(hours(1));
  std::string other;
  std::jthread background([&] { other = error_of(patience, "background"); });
  const auto gone = [](milliseconds) -> bool { throw LostPeer("rank 1 has gone"); };
  EXPECT_THROW(patience.wait(gone, [] { return std::string("foreground"); }), LostPeer);
  background.join();
  EXPECT_EQ(other, "rank 1 has gone");
}

// A part that takes longer than it was given is one during which nobody ran.
TEST(Patience, DoesNotCountTimeInWhichTheProcessWasStopped) {
  Patience patience(milliseconds(100));
  int parts = 0;
  patience.wait(
      [&](milliseconds time) {
        std::this_thread::sleep_for(time + milliseconds(parts == 0 ? 200 : 0));
        return ++parts == 2;
      },
      [] { return std::string("rank 0 waits for rank 1"); });
  EXPECT_EQ(parts, 2);
}

}  // namespace
}  // namespace weft
