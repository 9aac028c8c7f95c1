#include "launch/host/stop_signals.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/error.h"

namespace weft {
namespace {

// Not among them: SIGQUIT, which asks for a core; SIGTSTP and SIGCONT, by which batch systems
// suspend a job; SIGURG, which Go programs send themselves and container tools pass on.
constexpr StopSignalKind kStopSignals[] = {
    {SIGTERM, "SIGTERM", true},   // kill, timeout, batch systems, Kubernetes
    {SIGINT, "SIGINT", true},     // Ctrl-C
    {SIGHUP, "SIGHUP", false},    // the terminal is gone
    {SIGUSR1, "SIGUSR1", false},  // Slurm --signal, Grid Engine -notify
    {SIGUSR2, "SIGUSR2", false},  // LSF at the run limit, Grid Engine -notify
    {SIGXCPU, "SIGXCPU", false},  // ulimit -S -t, Grid Engine's s_cpu
};

bool is_ignored(int number) {
  struct sigaction now {};
  return sigaction(number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

}  // namespace

std::span<const StopSignalKind> stop_signals() { return kStopSignals; }

const StopSignalKind& stop_signal(int number) {
  const auto* found = std::ranges::find(kStopSignals, number, &StopSignalKind::number);
  WEFT_CHECK(found != std::end(kStopSignals), "signal {} asks for no end", number);
  return *found;
}

sigset_t stop_signals_to_take() {
  sigset_t set;
  sigemptyset(&set);
  for (const StopSignalKind& s : kStopSignals) {
    if (s.insists || !is_ignored(s.number)) sigaddset(&set, s.number);
  }
  return set;
}

void end_by_signal(int number) {
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  sigaction(number, &by_default, nullptr);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, number);
  pthread_sigmask(SIG_UNBLOCK, &only, nullptr);
  kill(getpid(), number);
  _exit(128 + number);  // the first process of a container is not killed by its own signals
}

}  // namespace weft
