#include "launch/host/local_job.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "core/base/error.h"
#include "launch/host/stop_signals.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;
// How long the others have to notice that a rank has failed, and then to end when asked.
constexpr std::chrono::seconds kPatience{10};

// On standard error, where it may be that nobody reads.
template <typename... Args>
void say(fmt::format_string<Args...> text, Args&&... args) {
  const std::string line =
      fmt::format("weft: {}\n", fmt::format(text, std::forward<Args>(args)...));
  std::fputs(line.c_str(), stderr);
}

// A port that nobody listens on now.
uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* raw = reinterpret_cast<sockaddr*>(&address);
  const bool found = fd >= 0 && bind(fd, raw, size) == 0 && getsockname(fd, raw, &size) == 0;
  if (fd >= 0) close(fd);
  if (!found) fail(ErrorKind::environment, "no free port on loopback: {}", std::strerror(errno));
  return ntohs(address.sin_port);
}

// What the child becomes; never returns.
[[noreturn]] void become_rank(const LocalJob& job, int local_rank, pid_t parent) {
  // A rank must not outlive its launcher, which alone knows when the job is over.
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);
  const auto set = [](const char* name, const std::string& value) {
    setenv(name, value.c_str(), 1);
  };
  set("RANK", std::to_string(job.first_rank + local_rank));
  set("WORLD_SIZE", std::to_string(job.world_size));
  set("LOCAL_RANK", std::to_string(local_rank));
  set("LOCAL_WORLD_SIZE", std::to_string(job.ranks));
  set("MASTER_ADDR", job.master_host);
  set("MASTER_PORT", std::to_string(job.master_port));
  std::vector<char*> arguments;
  for (const std::string& a : job.command) arguments.push_back(const_cast<char*>(a.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  say("cannot start {}: {}", job.command[0], std::strerror(errno));
  _exit(exit_code(ErrorKind::environment));
}

// The signals that a launcher waits for, held back from any other treatment while this exists.
class HeldSignals {
 public:
  HeldSignals() : held_(stop_signals_to_take()) {
    // Who ignores the end of children never hears of it, and a line that nobody reads must not end
    // the job.
    std::signal(SIGCHLD, SIG_DFL);
    std::signal(SIGPIPE, SIG_IGN);
    sigaddset(&held_, SIGCHLD);
    sigprocmask(SIG_BLOCK, &held_, &before_);
  }
  ~HeldSignals() { sigprocmask(SIG_SETMASK, &before_, nullptr); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  // In a child: none is held, whatever this process was started with.
  static void release() {
    std::signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
  }
  // The next one; its si_signo is 0 when there is none for a while.
  siginfo_t next() const {
    constexpr timespec kWhile{0, 200'000'000};
    siginfo_t got{};
    if (sigtimedwait(&held_, &got, &kWhile) <= 0) got.si_signo = 0;
    return got;
  }

 private:
  sigset_t held_;
  sigset_t before_{};
};

// Whether the ranks are to be told. A terminal has sent its Ctrl-C to them too, and a second one
// would kill.
bool is_to_pass_on(const siginfo_t& got) {
  if (got.si_signo == 0 || got.si_signo == SIGCHLD) return false;
  return !(got.si_signo == SIGINT && got.si_code == SI_KERNEL);
}

class Children {
 public:
  explicit Children(const LocalJob& job) : job_(job), pids_(static_cast<size_t>(job.ranks), 0) {}
  ~Children() { signal_all(SIGKILL); }
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  void start() {
    const pid_t parent = getpid();
    for (int r = 0; r < job_.ranks; ++r) {
      const pid_t child = fork();
      if (child == 0) {
        HeldSignals::release();
        become_rank(job_, r, parent);
      }
      if (child < 0) {
        fail(ErrorKind::environment, "cannot start rank {}: {}", job_.first_rank + r,
             std::strerror(errno));
      }
      pids_[static_cast<size_t>(r)] = child;
      ++running_;
    }
  }

  int running() const { return running_; }
  int exit_code() const { return exit_code_; }
  // Ends all; how they do no longer counts.
  void end(int signal) {
    ended_ = true;
    signal_all(signal);
  }
  void signal_all(int signal) const {
    for (const pid_t p : pids_) {
      if (p > 0) kill(p, signal);
    }
  }

  // Notes who has ended.
  void reap() {
    for (size_t r = 0; r < pids_.size(); ++r) {
      int status = 0;
      if (pids_[r] == 0 || waitpid(pids_[r], &status, WNOHANG) != pids_[r]) continue;
      pids_[r] = 0;
      --running_;
      // What a rank says of its peers is not what went wrong.
      const bool is_cause = exit_code_ == 0 || exit_code_ == weft::exit_code(ErrorKind::peer);
      if (!is_cause || ended_) continue;
      const int rank = job_.first_rank + static_cast<int>(r);
      if (WIFSIGNALED(status)) {
        exit_code_ = 128 + WTERMSIG(status);
        say("rank {} of {} was killed by signal {} ({})", rank, job_.world_size, WTERMSIG(status),
            strsignal(WTERMSIG(status)));
      } else if (WEXITSTATUS(status) != 0) {
        exit_code_ = WEXITSTATUS(status);
        say("rank {} of {} ended with code {}", rank, job_.world_size, exit_code_);
      }
    }
  }

 private:
  const LocalJob& job_;
  std::vector<pid_t> pids_;  // 0 where it has ended
  int running_ = 0;
  int exit_code_ = 0;
  bool ended_ = false;
};

}  // namespace

int run_local_job(const LocalJob& given) {
  LocalJob job = given;
  if (job.master_port == 0) job.master_port = free_port();
  std::fflush(nullptr);
  const HeldSignals signals;
  Children children(job);
  children.start();
  Clock::time_point end = Clock::time_point::max();
  int next_signal = SIGTERM;
  while (children.running() > 0) {
    const siginfo_t signal = signals.next();
    if (is_to_pass_on(signal)) children.signal_all(signal.si_signo);
    children.reap();
    if (children.exit_code() == 0) continue;
    if (end == Clock::time_point::max()) end = Clock::now() + kPatience;
    if (Clock::now() < end) continue;
    children.end(next_signal);
    next_signal = SIGKILL;
    end = Clock::now() + kPatience;
  }
  return children.exit_code();
}

}  // namespace weft
