#include "launch/train/stop_signal.h"

#include <csignal>

namespace weft {
namespace {

// A signal handler can reach nothing else.
volatile std::sig_atomic_t received = 0;

extern "C" void on_stop_signal(int signal) {
  received = signal;
  std::signal(signal, SIG_DFL);
}

}  // namespace

StopSignal::StopSignal() {
  received = 0;
  std::signal(SIGTERM, on_stop_signal);
  std::signal(SIGINT, on_stop_signal);
}

StopSignal::~StopSignal() {
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
}

bool StopSignal::requested() const { return received != 0; }

std::string_view StopSignal::name() const { return received == SIGINT ? "SIGINT" : "SIGTERM"; }

}  // namespace weft
