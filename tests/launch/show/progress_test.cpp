#include "launch/show/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string>

namespace weft {
namespace {

constexpr Terminal kPlain{false, 80};
constexpr Terminal kLive{true, 200};

// What `write` prints to the stream it is given.
std::string printed(const std::function<void(std::FILE*)>& write) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* stream = open_memstream(&text, &size);
  write(stream);
  std::fclose(stream);
  std::string result(text, size);
  std::free(text);
  return result;
}

StepReport report(int64_t step) {
  StepReport result;
  result.step = step;
  result.steps = 2000;
  result.loss = 2.34567;
  result.learning_rate = 9.9e-4;
  result.gradient_norm = 0.916;
  result.tokens_per_second = 12345;
  return result;
}

TEST(StepLine, ShowsWhatIsKnown) {
  StepReport full = report(120);
  EXPECT_EQ(step_line(full), "step  120/2000  loss 2.3457  lr 9.9e-04  norm 0.92  12.3k tok/s");
  full.validation_loss = 2.4012;
  full.peak_share = 0.614;
  full.seconds_left = 80;
  EXPECT_EQ(step_line(full),
            "step  120/2000  loss 2.3457  val 2.4012  lr 9.9e-04  norm 0.92  12.3k tok/s  "
            "61% of peak  ETA 1m20s");
}

TEST(StepLine, LeavesOutTheLeastWhereTheWindowIsNarrow) {
  StepReport full = report(120);
  full.validation_loss = 2.4012;
  full.peak_share = 0.614;
  full.seconds_left = 80;
  for (int columns = 0; columns < 120; ++columns) {
    EXPECT_LE(step_line(full, columns).size(), static_cast<size_t>(columns));
  }
  EXPECT_EQ(
      step_line(full, 98),
      "step  120/2000  loss 2.3457  val 2.4012  lr 9.9e-04  norm 0.92  12.3k tok/s  ETA 1m20s");
  EXPECT_EQ(step_line(full, 79),
            "step  120/2000  loss 2.3457  val 2.4012  norm 0.92  12.3k tok/s  ETA 1m20s");
  EXPECT_EQ(step_line(full, 73), "step  120/2000  loss 2.3457  val 2.4012  12.3k tok/s  ETA 1m20s");
}

TEST(LiveLine, KeepsTheLatestValidationLossOnATerminal) {
  const std::string text = printed([](std::FILE* stream) {
    LiveLine line(stream, kLive, 1);
    StepReport evaluated = report(1);
    evaluated.validation_loss = 2.5;
    line.show(evaluated);
    line.show(report(2));
  });
  EXPECT_NE(text.find("step    2/2000  loss 2.3457  val 2.5000"), std::string::npos) << text;
}

TEST(LiveLine, PrintsEveryValidationLossElsewhere) {
  const std::string text = printed([](std::FILE* stream) {
    LiveLine line(stream, kPlain, 1000);
    StepReport evaluated = report(7);
    evaluated.validation_loss = 2.5;
    line.show(evaluated);
    line.show(report(8));
  });
  EXPECT_TRUE(text.starts_with("step    7/2000  loss 2.3457  val 2.5000")) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

TEST(LiveLine, RewritesOneLineOnATerminal) {
  const std::string text = printed([](std::FILE* stream) {
    LiveLine line(stream, Terminal{true, 16}, 1);
    line.show(report(1));
    line.show(report(2));
  });
  EXPECT_EQ(text, "\r\x1b[Kstep    1/2000 \r\x1b[Kstep    2/2000 \n");
}

TEST(LiveLine, KeepsPrintedLinesAboveTheLiveOne) {
  const std::string text = printed([](std::FILE* stream) {
    LiveLine line(stream, Terminal{true, 12}, 1);
    line.print("before");
    line.show(report(1));
    line.print("saved");
    line.finish();
    line.print("after");
  });
  EXPECT_EQ(text, "before\n\r\x1b[Kstep    1/2\r\x1b[Ksaved\nstep    1/2\nafter\n");
}

TEST(Window, IsAskedForItsWidthOnceASecond) {
  double now = 100;
  int asked = 0;
  Window window([&] { return Terminal{true, 120 - 10 * asked++}; }, [&] { return now; });
  EXPECT_TRUE(window.live());
  EXPECT_EQ(window.columns(), 120);
  now = 100.9;
  EXPECT_EQ(window.columns(), 120);
  now = 101;
  EXPECT_EQ(window.columns(), 110);
  now = 101.9;
  EXPECT_EQ(window.columns(), 110);
  now = 200;
  EXPECT_EQ(window.columns(), 100);
  EXPECT_EQ(asked, 3);
}

TEST(LiveLine, FollowsTheWindow) {
  double now = 0;
  int columns = 16;
  const std::string text = printed([&](std::FILE* stream) {
    LiveLine line(stream, Window([&] { return Terminal{true, columns}; }, [&] { return now; }), 1);
    line.show(report(1));
    columns = 12;
    now = 1;
    line.show(report(2));
  });
  EXPECT_EQ(text, "\r\x1b[Kstep    1/2000 \r\x1b[Kstep    2/2\n");
}

TEST(LiveLine, SaysOnceThatNobodySeesIt) {
  std::FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  testing::internal::CaptureStderr();
  {
    LiveLine line(full, kLive, 1);
    line.print("before");
    line.show(report(1));
    line.print(std::string(100000, 'x'));
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "weft: notice: this run can no longer be shown: No space left on device; training goes "
            "on\n");
  EXPECT_EQ(std::fflush(full), 0);  // nothing is left to be written by others
  std::fclose(full);
}

TEST(ProgressBar, LetsTheWorkGoOnUnseen) {
  std::FILE* full = std::fopen("/dev/full", "w");
  ASSERT_NE(full, nullptr);
  std::setbuf(full, nullptr);
  {
    ProgressBar bar(full, kLive, "work", 100, [] { return 0.0; });
    bar.advance(100);
  }
  std::fclose(full);
}

TEST(LiveLine, PrintsPlainLinesAtTheIntervalElsewhere) {
  const std::string text = printed([](std::FILE* stream) {
    LiveLine line(stream, kPlain, 800);
    for (int64_t step = 1; step <= 2000; ++step) line.show(report(step));
  });
  std::string expected;
  for (int64_t step : {1, 800, 1600, 2000}) expected += step_line(report(step)) + "\n";
  EXPECT_EQ(text, expected);
}

TEST(BarLine, FillsWithTheShareDone) {
  const WorkReport half{"encode", 512, 1024, 2};
  EXPECT_EQ(bar_line(half, 120),
            "encode [###############...............]   50%  512 B of 1 KiB  256 B/s  ETA 2s");
  const WorkReport none{"encode", 0, 1024, 0};
  EXPECT_EQ(bar_line(none, 120),
            "encode [..............................]    0%  0 B of 1 KiB  0 B/s");
}

TEST(BarLine, NeverExceedsTheWindow) {
  const WorkReport work{"encode", 512, 1024, 2};
  for (int columns = 0; columns < 100; ++columns) {
    EXPECT_LE(bar_line(work, columns).size(), static_cast<size_t>(columns));
  }
  EXPECT_EQ(bar_line(work, 60), "encode [######......]   50%  512 B of 1 KiB  256 B/s  ETA 2s");
  EXPECT_EQ(bar_line(work, 50), "encode   50%  512 B of 1 KiB  256 B/s  ETA 2s");
}

TEST(BarLine, CopesWithMoreThanTheTotalAndWithNoTotal) {
  EXPECT_EQ(bar_line({"read", 30, 20, 1}, 50),
            "read [#######]  100%  30 B of 20 B  30 B/s  ETA 0s");
  EXPECT_EQ(bar_line({"read", 2048, 0, 1}, 80), "read  2 KiB  2 KiB/s");
}

TEST(ProgressBar, DrawsAtMostTenTimesASecond) {
  double now = 100;
  const std::string text = printed([&](std::FILE* stream) {
    ProgressBar bar(stream, kLive, "work", 1000, [&] { return now; });
    for (int i = 0; i < 1000; ++i) {
      now += 1.0 / 1024;
      bar.advance(1);
    }
    bar.finish();
    bar.finish();
  });
  const auto lines = static_cast<int>(std::count(text.begin(), text.end(), '\r'));
  EXPECT_GE(lines, 9);
  EXPECT_LE(lines, 11);
  EXPECT_TRUE(text.ends_with("\r\x1b[Kwork: 0.977 KiB in 1s (1 KiB/s)\n")) << text;
}

TEST(ProgressBar, IsQuietOffATerminal) {
  double now = 0;
  const std::string text = printed([&](std::FILE* stream) {
    ProgressBar bar(stream, kPlain, "work", 100, [&] { return now; });
    for (int i = 0; i < 25; ++i) {
      now += 1;
      bar.advance(4);
    }
  });
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3) << text;
  EXPECT_EQ(text.find('\r'), std::string::npos);
}

TEST(ProgressBar, LeavesTheLastWordToAnError) {
  const auto failing = [](Terminal terminal) {
    return printed([terminal](std::FILE* stream) {
      try {
        double now = 0;
        ProgressBar bar(stream, terminal, "work", 100, [&] { return now; });
        now = 1;
        bar.advance(4);
        throw std::runtime_error("broken");
      } catch (const std::runtime_error&) {
      }
    });
  };
  EXPECT_EQ(failing(kPlain), "");
  EXPECT_TRUE(failing(kLive).ends_with("\r\x1b[K"));
}

}  // namespace
}  // namespace weft
