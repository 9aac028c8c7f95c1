// What this machine offers to a run: processor, cores, memory, huge pages. Linux only; a fact that
// cannot be read is left empty or zero, never guessed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "launch/host/control_groups.h"

namespace weft {

// The tightest limit of memory that the process itself has (ulimit), as a shell names it.
struct ProcessLimit {
  std::string name;
  int64_t bytes = 0;
  int64_t free_bytes = 0;
};

struct Machine {
  std::string host;
  std::string cpu_model;
  std::vector<std::string>
      isa;        // instruction sets that matter to training, as the kernel names them
  int cores = 0;  // online in the machine
  std::vector<int> usable_cores;      // the numbers of those that this process may run on
  std::optional<CpuQuota> cpu_quota;  // of its control groups
  int64_t memory_bytes = 0;           // the machine's, or the control groups' limit where lower
  int64_t memory_available_bytes = 0;
  std::optional<MemoryLimit> memory_limit;  // of its control groups
  std::optional<ProcessLimit> process_limit;
  std::string huge_pages;  // transparent huge pages: always, madvise or never
};

// Reads /proc, /sys and the process's own limits; cheap, starts nothing. `root` stands before the
// paths of files, for tests.
Machine read_machine(const std::string& root = "");

// The parts of read_machine that interpret text, apart from where the text comes from.

// The instruction sets worth naming out of a "flags" line of /proc/cpuinfo, in order of our list.
std::vector<std::string> select_isa(std::string_view flags);
// The value after "key" and a colon in lines of "key : value"; empty when there is none.
std::string_view field(std::string_view lines, std::string_view key);
// The word in square brackets: "always [madvise] never" -> "madvise".
std::string_view bracketed(std::string_view choices);
// How many threads each of several ranks can keep busy that share cores as their masks say: rank
// `rank` gets its part of every core of masks[rank], but no more than its part of `quota` cores'
// worth of time where there is one; at least 1.
int share_of_cores(const std::vector<std::vector<int>>& masks, int rank,
                   const std::optional<double>& quota);

}  // namespace weft
