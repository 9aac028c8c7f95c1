#include "launch/host/stop_signal.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "launch/host/stop_signals.h"

namespace weft {
namespace {

using testing::ExitedWithCode;
using testing::KilledBySignal;

// The rest of a child process of a death test; ends with 0 when the signals have not ended it.
template <typename Body>
[[noreturn]] void live(const Body& body) {
  for (const StopSignalKind& s : stop_signals()) std::signal(s.number, SIG_DFL);
  StopSignal stop;
  body(stop);
  _exit(0);
}

void send(int signal) { kill(getpid(), signal); }

void wait_for(const StopSignal& stop) {
  while (!stop.requested()) std::this_thread::yield();
}

[[noreturn]] void wait_for_the_end() {
  while (true) pause();
}

TEST(StopSignalDeath, EndsTheProgramUntilThereIsARun) {
  for (const StopSignalKind& s : stop_signals()) {
    EXPECT_EXIT(live([&](StopSignal&) {
                  send(s.number);
                  wait_for_the_end();
                }),
                KilledBySignal(s.number), "");
  }
}

TEST(StopSignalDeath, IsARequestOfARun) {
  for (const StopSignalKind& s : stop_signals()) {
    EXPECT_EXIT(live([&](StopSignal& stop) {
                  stop.listen();
                  send(s.number);
                  wait_for(stop);
                  _exit(stop.name() == s.name ? 7 : 1);
                }),
                ExitedWithCode(7), "");
  }
}

TEST(StopSignalDeath, TakesAwayTheHandlerOfALibrary) {
  for (const StopSignalKind& s : stop_signals()) {
    EXPECT_EXIT(
        {
          std::signal(s.number, [](int) { _exit(2); });
          stop_signals_to_take();
          struct sigaction now {};
          sigaction(s.number, nullptr, &now);
          _exit(now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN ? 7 : 1);
        },
        ExitedWithCode(7), "");
  }
}

TEST(Insistence, EndsTheProgramASecondAfterTheFirst) {
  using std::chrono::milliseconds;
  const Insistence::Time start{};
  const auto signal = [&](Insistence& insistence, int number, int after) {
    return insistence.ends_program(stop_signal(number), start + milliseconds(after));
  };
  Insistence twice_at_once;
  EXPECT_FALSE(signal(twice_at_once, SIGINT, 0));
  EXPECT_FALSE(signal(twice_at_once, SIGINT, 3));
  EXPECT_FALSE(signal(twice_at_once, SIGTERM, 999));
  EXPECT_TRUE(signal(twice_at_once, SIGTERM, 1000));
  // A batch system warns, and the kernel says every second that the time is over.
  Insistence warned;
  for (const int after : {0, 1000, 2000, 3000}) EXPECT_FALSE(signal(warned, SIGXCPU, after));
  EXPECT_FALSE(signal(warned, SIGUSR1, 4000));
  EXPECT_FALSE(signal(warned, SIGTERM, 5000));
  EXPECT_FALSE(signal(warned, SIGXCPU, 7000));
  EXPECT_TRUE(signal(warned, SIGINT, 8000));
}

TEST(StopSignalDeath, AnotherOneLaterEndsTheProgram) {
  EXPECT_EXIT(live([](StopSignal& stop) {
                stop.listen();
                send(SIGTERM);
                wait_for(stop);
                std::this_thread::sleep_for(std::chrono::milliseconds(1050));
                send(SIGINT);
                wait_for_the_end();
              }),
              KilledBySignal(SIGINT), "");
}

TEST(StopSignalDeath, LeavesIgnoredWarningsIgnored) {
  EXPECT_EXIT(
      {
        std::signal(SIGHUP, SIG_IGN);
        std::signal(SIGINT, SIG_IGN);  // as a shell does in the background
        StopSignal stop;
        stop.listen();
        send(SIGHUP);
        send(SIGINT);
        wait_for(stop);
        _exit(stop.name() == "SIGINT" ? 0 : 1);
      },
      ExitedWithCode(0), "");
}

TEST(StopSignalDeath, ChangesNothingWhenTheRunIsOver) {
  EXPECT_EXIT(
      {
        { StopSignal stop; }
        send(SIGTERM);
        _exit(9);
      },
      ExitedWithCode(9), "");
}

}  // namespace
}  // namespace weft
