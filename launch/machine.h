// What this machine offers to a run: processor, cores, memory, huge pages. Linux only; a fact that
// cannot be read is left empty or zero, never guessed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

struct Machine {
  std::string host;
  std::string cpu_model;
  std::vector<std::string>
      isa;                   // instruction sets that matter to training, as the kernel names them
  int cores = 0;             // online in the machine
  int usable_cores = 0;      // in this process's affinity mask
  double cpu_quota = 0;      // cores' worth of time the container allows; 0 means no limit
  int64_t memory_bytes = 0;  // the machine's, or the container's limit where that is lower
  int64_t memory_available_bytes = 0;
  std::string huge_pages;  // transparent huge pages: always, madvise or never
};

// Reads /proc, /sys and the affinity mask; cheap, starts nothing.
Machine read_machine();

// The parts of read_machine that interpret text, apart from where the text comes from.

// The instruction sets worth naming out of a "flags" line of /proc/cpuinfo, in order of our list.
std::vector<std::string> select_isa(std::string_view flags);
// The value after "key" and a colon in lines of "key : value"; empty when there is none.
std::string_view field(std::string_view lines, std::string_view key);
// The word in square brackets: "always [madvise] never" -> "madvise".
std::string_view bracketed(std::string_view choices);
// Cores' worth of time of a cgroup-2 cpu.max ("200000 100000" -> 2); 0 for "max" or damaged text.
double parse_cpu_quota(std::string_view cpu_max);

}  // namespace weft
