#include "launch/machine.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>

namespace weft {
namespace {

constexpr std::array<std::string_view, 18> kIsaNames = {
    "sse4_2",      "avx",      "avx2",     "fma",      "f16c",        "avx_vnni",
    "avx512f",     "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_bf16", "asimd",    "sve",         "bf16"};

std::string read_text(const char* path) {
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
int64_t leading_integer(std::string_view text) {
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

int affinity_cores() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  return sched_getaffinity(0, sizeof(mask), &mask) == 0 ? CPU_COUNT(&mask) : 0;
}

void read_memory(Machine& machine) {
  constexpr int64_t kKib = 1024;
  const std::string info = read_text("/proc/meminfo");
  machine.memory_bytes = leading_integer(field(info, "MemTotal")) * kKib;
  machine.memory_available_bytes = leading_integer(field(info, "MemAvailable")) * kKib;
  const int64_t limit = leading_integer(read_text("/sys/fs/cgroup/memory.max"));
  if (limit > 0 && limit < machine.memory_bytes) {
    const int64_t used = leading_integer(read_text("/sys/fs/cgroup/memory.current"));
    machine.memory_bytes = limit;
    machine.memory_available_bytes = std::min(machine.memory_available_bytes, limit - used);
  }
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

double parse_cpu_quota(std::string_view cpu_max) {
  const size_t space = cpu_max.find(' ');
  if (space == std::string_view::npos) return 0;
  const int64_t quota = leading_integer(cpu_max);
  const int64_t period = leading_integer(cpu_max.substr(space + 1));
  return quota > 0 && period > 0 ? static_cast<double>(quota) / static_cast<double>(period) : 0;
}

Machine read_machine() {
  Machine machine;
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) == 0) machine.host = host.data();
  const std::string cpu = read_text("/proc/cpuinfo");
  machine.cpu_model = field(cpu, "model name");
  const std::string_view flags = field(cpu, "flags");
  machine.isa = select_isa(flags.empty() ? field(cpu, "Features") : flags);
  machine.cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  machine.usable_cores = affinity_cores();
  machine.cpu_quota = parse_cpu_quota(read_text("/sys/fs/cgroup/cpu.max"));
  read_memory(machine);
  machine.huge_pages = bracketed(read_text("/sys/kernel/mm/transparent_hugepage/enabled"));
  return machine;
}

}  // namespace weft
