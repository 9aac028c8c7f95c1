#include "launch/host/machine.h"

#include <omp.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "core/base/host_name.h"

namespace weft {
namespace {

constexpr std::array<std::string_view, 18> kIsaNames = {
    "sse4_2",      "avx",      "avx2",     "fma",      "f16c",        "avx_vnni",
    "avx512f",     "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_bf16", "asimd",    "sve",         "bf16"};

constexpr int64_t kKib = 1024;

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// The leading integer of `text`, or 0.
int64_t integer_or_zero(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// OMP_PROC_BIND binds the thread that starts a program to the first of its places; its team has
// all.
void add_openmp_places(std::set<int>& cores) {
  if (omp_get_proc_bind() == omp_proc_bind_false) return;
  for (int place = 0; place < omp_get_num_places(); ++place) {
    std::vector<int> ids(static_cast<size_t>(std::max(0, omp_get_place_num_procs(place))));
    if (!ids.empty()) omp_get_place_proc_ids(place, ids.data());
    cores.insert(ids.begin(), ids.end());
  }
}

std::vector<int> affinity_cores() {
  // Machines may have more cores than a cpu_set_t; the kernel refuses masks that are too short.
  std::set<int> cores;
  for (int size = 1024; size <= 1 << 20; size *= 2) {
    cpu_set_t* mask = CPU_ALLOC(size);
    const size_t bytes = CPU_ALLOC_SIZE(size);
    CPU_ZERO_S(bytes, mask);
    const bool got = sched_getaffinity(0, bytes, mask) == 0;
    for (int core = 0; got && core < size; ++core) {
      if (CPU_ISSET_S(core, bytes, mask)) cores.insert(core);
    }
    CPU_FREE(mask);
    if (got || errno != EINVAL) break;
  }
  add_openmp_places(cores);
  return {cores.begin(), cores.end()};
}

std::optional<ProcessLimit> read_process_limit(const std::string& root) {
  struct Row {
    int resource;
    const char* name;
    const char* used;  // of /proc/self/status, in KiB
  };
  constexpr Row kRows[] = {{RLIMIT_AS, "ulimit -v", "VmSize"},
                           {RLIMIT_DATA, "ulimit -d", "VmData"}};
  const std::string status = read_text(root + "/proc/self/status");
  std::optional<ProcessLimit> tightest;
  for (const Row& row : kRows) {
    rlimit limit{};
    if (getrlimit(row.resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) continue;
    const auto bytes =
        static_cast<int64_t>(std::min<rlim_t>(limit.rlim_cur, std::numeric_limits<int64_t>::max()));
    const int64_t used = integer_or_zero(field(status, row.used)) * kKib;
    const ProcessLimit found{row.name, bytes, std::max<int64_t>(0, bytes - used)};
    if (!tightest || found.free_bytes < tightest->free_bytes) tightest = found;
  }
  return tightest;
}

void read_memory(Machine& machine, const std::string& root, const GroupLimits& groups) {
  const std::string info = read_text(root + "/proc/meminfo");
  machine.memory_bytes = integer_or_zero(field(info, "MemTotal")) * kKib;
  machine.memory_available_bytes = integer_or_zero(field(info, "MemAvailable")) * kKib;
  machine.memory_limit = groups.memory;
  if (groups.memory) machine.memory_bytes = std::min(machine.memory_bytes, groups.memory->bytes);
  if (groups.least_free) {
    machine.memory_available_bytes =
        std::min(machine.memory_available_bytes, groups.least_free->free_bytes);
  }
  machine.process_limit = read_process_limit(root);
}

}  // namespace

std::vector<std::string> select_isa(std::string_view flags) {
  std::vector<std::string> words;
  std::istringstream stream{std::string(flags)};
  for (std::string word; stream >> word;) words.push_back(word);
  std::vector<std::string> selected;
  for (std::string_view name : kIsaNames) {
    if (std::find(words.begin(), words.end(), name) != words.end()) selected.emplace_back(name);
  }
  return selected;
}

std::string_view field(std::string_view lines, std::string_view key) {
  while (!lines.empty()) {
    const size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && trim(line.substr(0, colon)) == key) {
      return trim(line.substr(colon + 1));
    }
    lines.remove_prefix(std::min(end + 1, lines.size()));
  }
  return {};
}

std::string_view bracketed(std::string_view choices) {
  const size_t open = choices.find('[');
  const size_t close = choices.find(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
  return choices.substr(open + 1, close - open - 1);
}

int share_of_cores(const std::vector<std::vector<int>>& masks, int rank,
                   const std::optional<double>& quota) {
  std::map<int, int> ranks_on;
  for (const std::vector<int>& mask : masks) {
    for (int core : mask) ++ranks_on[core];
  }
  double share = 0;
  for (int core : masks[static_cast<size_t>(rank)]) share += 1.0 / ranks_on[core];
  if (quota) share = std::min(share, *quota / static_cast<double>(masks.size()));
  constexpr double kRounding = 1e-6;  // of thirds added up
  return std::max(1, static_cast<int>(share + kRounding));
}

Machine read_machine(const std::string& root) {
  Machine machine;
  machine.host = host_name();
  const std::string cpu = read_text(root + "/proc/cpuinfo");
  machine.cpu_model = field(cpu, "model name");
  const std::string_view flags = field(cpu, "flags");
  machine.isa = select_isa(flags.empty() ? field(cpu, "Features") : flags);
  machine.cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  machine.usable_cores = affinity_cores();
  const GroupLimits groups = read_group_limits(root);
  machine.cpu_quota = groups.cpu;
  read_memory(machine, root, groups);
  machine.huge_pages = bracketed(read_text(root + "/sys/kernel/mm/transparent_hugepage/enabled"));
  return machine;
}

}  // namespace weft
