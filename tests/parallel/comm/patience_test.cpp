#include "parallel/comm/patience.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
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

}  // namespace
}  // namespace weft
