#include "core/device/cpu/thread_team.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <mutex>
#include <vector>

#include "core/base/error.h"

namespace weft {
namespace {

// A rank also has threads that move data and write checkpoints.
constexpr int kOtherThreads = 4;
constexpr int64_t kSmallestStack = int64_t{128} << 10;

// Those of `names` that are set, with their values, for a message.
template <size_t N>
std::string set_among(const std::array<const char*, N>& names) {
  std::string text;
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr) text += fmt::format("{}{}={}", text.empty() ? "" : ", ", name, value);
  }
  return text;
}

std::string stack_variables() {
  return set_among(std::array{"OMP_STACKSIZE", "GOMP_STACKSIZE", "KMP_STACKSIZE"});
}

// The stack that OpenMP will give its threads, as far as the environment says; 0 for the default.
int64_t wanted_stack() {
  for (const char* name : {"OMP_STACKSIZE", "GOMP_STACKSIZE"}) {
    const char* value = std::getenv(name);
    if (value != nullptr) return parse_stack_size(value).value_or(0);
  }
  return 0;
}

// Threads that do nothing until they are let go.
class WaitingThreads {
 public:
  explicit WaitingThreads(int64_t stack_bytes) {
    pthread_attr_init(&attributes_);
    if (stack_bytes >= kSmallestStack) {
      pthread_attr_setstacksize(&attributes_, static_cast<size_t>(stack_bytes));
    }
    gate_.lock();
  }
  ~WaitingThreads() {
    gate_.unlock();
    for (pthread_t thread : threads_) pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes_);
  }
  WaitingThreads(const WaitingThreads&) = delete;
  WaitingThreads& operator=(const WaitingThreads&) = delete;

  // 0, or why there can be no further one.
  int add() {
    pthread_t thread{};
    const int error = pthread_create(&thread, &attributes_, wait, &gate_);
    if (error == 0) threads_.push_back(thread);
    return error;
  }

 private:
  static void* wait(void* gate) {
    const std::lock_guard lock(*static_cast<std::mutex*>(gate));
    return nullptr;
  }

  pthread_attr_t attributes_;
  std::mutex gate_;
  std::vector<pthread_t> threads_;
};

// An OpenMP runtime that cannot make a thread ends the program, so they are tried before.
void try_threads(int threads) {
  const int wanted = threads - 1 + kOtherThreads;
  WaitingThreads waiting(wanted_stack());
  for (int made = 0; made < wanted; ++made) {
    const int error = waiting.add();
    if (error == 0) continue;
    const std::string variables = stack_variables();
    fail(ErrorKind::environment,
         "a rank with cpu.threads: {} needs {} threads more, of which the operating system gives "
         "{} ({}); raise the limit of processes (ulimit -u, pids.max of the container) or of "
         "memory (ulimit -v){}, or set fewer cpu.threads",
         threads, wanted, made, std::strerror(error),
         variables.empty() ? "" : fmt::format(", unset {}", variables));
  }
}

int64_t own_stack_bytes() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  size_t bytes = 0;
  pthread_attr_getstacksize(&attributes, &bytes);
  pthread_attr_destroy(&attributes);
  return static_cast<int64_t>(bytes);
}

}  // namespace

void claim_threads() {
  omp_set_dynamic(0);
  if (omp_get_max_active_levels() < 1) omp_set_max_active_levels(1);
  omp_set_num_threads(1);
}

TeamReport start_team(int threads) {
  TeamReport report{.asked = threads, .threads = 1};
  if (threads == 1) return report;
  // Threads are the process's, so ranks that are threads of one take turns.
  static std::mutex turn;
  const std::lock_guard lock(turn);
  try_threads(threads);
  std::mutex looking;
  cpu_set_t all;
  CPU_ZERO(&all);
#pragma omp parallel num_threads(threads)
  {
    const bool made = omp_get_thread_num() > 0;  // the first thread is the caller
    const int64_t stack = made ? own_stack_bytes() : 0;
    cpu_set_t mask;
    const bool bound = sched_getaffinity(0, sizeof(mask), &mask) == 0;
    const std::lock_guard one(looking);
    report.threads = omp_get_num_threads();
    if (stack > 0 && (report.stack_bytes == 0 || stack < report.stack_bytes)) {
      report.stack_bytes = stack;
    }
    if (bound) CPU_OR(&all, &all, &mask);
  }
  const std::lock_guard looked(looking);
  report.cores = CPU_COUNT(&all);
  return report;
}

void require_team(const TeamReport& report) {
  if (report.threads < report.asked) {
    const std::string variables = set_among(
        std::array{"OMP_THREAD_LIMIT", "OMP_DYNAMIC", "OMP_MAX_ACTIVE_LEVELS", "OMP_NESTED",
                   "OMP_TEAMS_THREAD_LIMIT", "KMP_DEVICE_THREAD_LIMIT", "KMP_ALL_THREADS",
                   "KMP_TEAMS_THREAD_LIMIT", "KMP_DYNAMIC_MODE", "OMP_TOOL"});
    fail(ErrorKind::environment,
         "OpenMP gives this rank {} thread{} where cpu.threads asks for {}{}; unset {}, or set "
         "cpu.threads: {}",
         report.threads, report.threads == 1 ? "" : "s", report.asked,
         variables.empty() ? "" : fmt::format(": the environment has {}", variables),
         variables.empty() ? "what limits OpenMP" : "that", report.threads);
  }
  if (report.stack_bytes > 0 && report.stack_bytes < kSmallestStack) {
    const std::string variables = stack_variables();
    fail(ErrorKind::environment,
         "the threads of this rank have stacks of {} KiB{}, and computing needs {}; unset that, or "
         "raise ulimit -s",
         report.stack_bytes >> 10, variables.empty() ? "" : fmt::format(" ({})", variables),
         kSmallestStack >> 10);
  }
}

std::string crowding(const TeamReport& report) {
  if (report.cores == 0 || report.cores >= report.threads) return {};
  const std::string variables =
      set_among(std::array{"OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY"});
  return fmt::format(
      "the {} threads of a rank may run on {} core{} only{}: they wait for each other; {}",
      report.threads, report.cores, report.cores == 1 ? "" : "s",
      variables.empty() ? "" : fmt::format(" (the environment has {})", variables),
      variables.empty() ? "set fewer cpu.threads, or bind more cores to a rank"
                        : "unset that, or set fewer cpu.threads");
}

std::optional<int> thread_limit() {
  const int limit = omp_get_thread_limit();
  if (limit == std::numeric_limits<int>::max()) return std::nullopt;
  return limit;
}

std::optional<int64_t> parse_stack_size(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n\v\f\r";
  const auto strip = [&] {
    const size_t first = std::min(text.find_first_not_of(kBlank), text.size());
    text.remove_prefix(first);
  };
  strip();
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || value < 0) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  strip();
  constexpr std::string_view kUnits = "bkmg";
  size_t unit = 1;  // KiB
  if (!text.empty()) {
    unit = kUnits.find(static_cast<char>(std::tolower(static_cast<unsigned char>(text[0]))));
    if (unit == std::string_view::npos) return std::nullopt;
    text.remove_prefix(1);
    strip();
  }
  if (!text.empty() || value > std::numeric_limits<int64_t>::max() >> (10 * unit)) {
    return std::nullopt;
  }
  return value << (10 * unit);
}

}  // namespace weft
