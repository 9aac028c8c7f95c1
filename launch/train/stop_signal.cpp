#include "launch/train/stop_signal.h"

#include <atomic>
#include <csignal>

namespace weft {
namespace {

// Signals belong to the process, and a handler can reach nothing else.
std::atomic<int> received{0};
std::atomic<int> listeners{0};
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void on_stop_signal(int signal) {
  received = signal;
  std::signal(signal, SIG_DFL);
}

}  // namespace

StopSignal::StopSignal() {
  if (listeners++ > 0) return;
  received = 0;
  std::signal(SIGTERM, on_stop_signal);
  std::signal(SIGINT, on_stop_signal);
}

StopSignal::~StopSignal() {
  if (--listeners > 0) return;
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
}

bool StopSignal::requested() const { return received != 0; }

std::string_view StopSignal::name() const { return received == SIGINT ? "SIGINT" : "SIGTERM"; }

}  // namespace weft
