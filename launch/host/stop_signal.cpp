#include "launch/host/stop_signal.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace weft {

bool Insistence::ends_program(const StopSignalKind& signal, Time now) {
  constexpr std::chrono::seconds kApart{1};
  if (!signal.insists) return false;
  if (!first_) first_ = now;
  return now - *first_ >= kApart;
}

StopSignal::StopSignal() {
  const sigset_t taken = stop_signals_to_take();
  pthread_sigmask(SIG_BLOCK, &taken, nullptr);
  arrivals_ = signalfd(-1, &taken, SFD_CLOEXEC);
  if (arrivals_ < 0) fail(ErrorKind::environment, "no signalfd: {}", std::strerror(errno));
  thread_ = std::thread([this] { take(); });
}

StopSignal::~StopSignal() {
  over_ = true;
  pthread_kill(thread_.native_handle(), SIGTERM);
  thread_.join();
  close(arrivals_);
}

std::string_view StopSignal::name() const { return stop_signal(received_).name; }

void StopSignal::take() {
  signalfd_siginfo arrival{};
  while (!over_) {
    if (read(arrivals_, &arrival, sizeof arrival) != sizeof arrival || over_) continue;
    note(static_cast<int>(arrival.ssi_signo));
  }
}

void StopSignal::note(int signal) {
  if (!listening_) end_by_signal(signal);
  int nothing = 0;
  received_.compare_exchange_strong(nothing, signal);
  if (insistence_.ends_program(stop_signal(signal), std::chrono::steady_clock::now())) {
    end_by_signal(signal);
  }
}

}  // namespace weft
