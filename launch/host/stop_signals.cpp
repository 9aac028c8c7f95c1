#include "launch/host/stop_signals.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

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

// Of the signals that this process was started to ignore: bit `number`.
uint64_t ignored_at_start = 0;

// As the kernel has it, of which the libraries' wrappers and the sanitizers' know nothing yet.
struct KernelAction {
  void (*handler)(int);
  uint64_t rest[8];
};

// Runs before any library's own start: UCX, which Open MPI 5 brings along, then takes SIGHUP for
// itself, also where nohup has it ignored.
__attribute__((no_sanitize("address", "thread", "undefined"))) void look_at_ignored(int, char**,
                                                                                    char**) {
  for (const StopSignalKind& s : kStopSignals) {
    KernelAction now{};
    constexpr size_t kSetBytes = 8;
    if (syscall(SYS_rt_sigaction, s.number, nullptr, &now, kSetBytes) != 0) continue;
    if (now.handler == SIG_IGN) ignored_at_start |= uint64_t{1} << s.number;
  }
}
[[gnu::section(".preinit_array"), gnu::used]] void (*const look_at_start)(int, char**,
                                                                          char**) = look_at_ignored;

// Whether a signal is ignored. A library's handler is taken away first: none runs on a thread that
// computes, and the signal is again what it was at the start.
bool is_ignored(int number) {
  struct sigaction now {};
  sigaction(number, nullptr, &now);
  if (now.sa_handler == SIG_IGN || now.sa_handler == SIG_DFL) return now.sa_handler == SIG_IGN;
  struct sigaction as_started {};
  as_started.sa_handler = (ignored_at_start >> number & 1) != 0 ? SIG_IGN : SIG_DFL;
  sigaction(number, &as_started, nullptr);
  return as_started.sa_handler == SIG_IGN;
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
    const bool ignored = is_ignored(s.number);
    if (s.insists || !ignored) sigaddset(&set, s.number);
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
