// What the control groups of this process allow it: Linux's limits of containers, batch systems and
// systemd. A group is bound by its own limits and by those of every group above it; each file that
// is missing or cannot be read limits nothing.
//
// Version 2 has one tree, version 1 one for each controller, and both may be there at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

// A limit and the folder of the group that sets it.
struct CpuQuota {
  double cores = 0;  // cores' worth of time
  std::string group;
};
struct MemoryLimit {
  int64_t bytes = 0;
  int64_t free_bytes = 0;  // of it; what the kernel can take back at any time counts as free
  std::string group;
};

struct GroupLimits {
  std::optional<CpuQuota> cpu;            // the tightest
  std::optional<MemoryLimit> memory;      // the lowest
  std::optional<MemoryLimit> least_free;  // that with the least left, which may be another
};

// Of the process whose /proc and /sys are below `root` ("" for this one).
GroupLimits read_group_limits(const std::string& root = "");

// Cores' worth of time of a cgroup-2 cpu.max ("200000 100000" -> 2); 0 for "max" or damaged text.
double parse_cpu_quota(std::string_view cpu_max);

}  // namespace weft
