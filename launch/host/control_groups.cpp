#include "launch/host/control_groups.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <vector>

namespace weft {
namespace {

namespace fs = std::filesystem;

// Version 1 says "no limit" by the largest multiple of a page.
constexpr int64_t kUnlimited = int64_t{1} << 60;

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The leading integer of `text`; nothing where there is none ("max").
std::optional<int64_t> leading_integer(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

// The number after `key` and a blank at the start of a line of "key number" lines.
std::optional<int64_t> entry(const std::string& lines, const std::string& key) {
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with(key + " ")) {
      return leading_integer(std::string_view(line).substr(key.size() + 1));
    }
  }
  return std::nullopt;
}

// A line of /proc/self/cgroup.
struct Membership {
  std::vector<std::string> controllers;  // none for version 2
  std::string path;
};

std::vector<Membership> read_memberships(const fs::path& file) {
  std::vector<Membership> all;
  std::istringstream lines(read_text(file));
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    Membership membership{.controllers = {}, .path = line.substr(second + 1)};
    std::istringstream names(line.substr(first + 1, second - first - 1));
    for (std::string name; std::getline(names, name, ',');) {
      membership.controllers.push_back(name);
    }
    all.push_back(std::move(membership));
  }
  // Without /proc/self/cgroup what a container shows as the root is the best guess.
  if (all.empty()) all.push_back({.controllers = {}, .path = "/"});
  return all;
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// The group at `path` of the tree at `mount`, and those above it up to the mount itself. A
// container may show the part of the tree from its own group down, though the path begins at the
// host's root: then leading folders of the path are not there. ("/.." is above what is shown.)
std::vector<fs::path> groups_of(const fs::path& mount, const std::string& path) {
  std::vector<fs::path> parts;
  for (const fs::path& part : fs::path(path).relative_path()) {
    if (!part.empty() && part != ".") parts.push_back(part);
  }
  if (std::find(parts.begin(), parts.end(), "..") != parts.end()) parts.clear();
  const auto joined = [&](size_t first) {
    fs::path all = mount;
    for (size_t i = first; i < parts.size(); ++i) all /= parts[i];
    return all;
  };
  size_t first = 0;
  while (first < parts.size() && !is_folder(joined(first))) ++first;
  std::vector<fs::path> groups{mount};
  for (size_t i = first; i < parts.size(); ++i) groups.push_back(groups.back() / parts[i]);
  return groups;
}

class Reader {
 public:
  explicit Reader(const std::string& root)
      : memberships_(read_memberships(root + "/proc/self/cgroup")),
        mounts_(root + "/sys/fs/cgroup") {}

  GroupLimits read() {
    for (const Membership& membership : memberships_) {
      if (membership.controllers.empty()) {
        for (const fs::path& mount : {mounts_, mounts_ / "unified"}) {
          for (const fs::path& group : groups_of(mount, membership.path)) read_v2(group);
        }
        continue;
      }
      // Controllers that are mounted together are found under their joint name, and by links under
      // each of their own.
      std::string together;
      for (const std::string& name : membership.controllers) {
        together += (together.empty() ? "" : ",") + name;
      }
      for (const std::string& name : membership.controllers) {
        const fs::path mount = is_folder(mounts_ / name) ? mounts_ / name : mounts_ / together;
        for (const fs::path& group : groups_of(mount, membership.path)) {
          if (name == "memory") read_v1_memory(group);
          if (name == "cpu") read_v1_cpu(group);
        }
      }
    }
    return limits_;
  }

 private:
  void read_v2(const fs::path& group) {
    add_quota(parse_cpu_quota(read_text(group / "cpu.max")), group);
    const std::string stat = read_text(group / "memory.stat");
    int64_t kept = 0;  // what the kernel can take back
    for (const char* name : {"inactive_file", "active_file", "slab_reclaimable"}) {
      kept += entry(stat, name).value_or(0);
    }
    add_memory(leading_integer(read_text(group / "memory.max")),
               leading_integer(read_text(group / "memory.current")), kept, group);
  }

  void read_v1_memory(const fs::path& group) {
    const std::string stat = read_text(group / "memory.stat");
    const int64_t kept = entry(stat, "total_inactive_file").value_or(0) +
                         entry(stat, "total_active_file").value_or(0);
    std::optional<int64_t> limit = leading_integer(read_text(group / "memory.limit_in_bytes"));
    // Groups above that a container does not show.
    const std::optional<int64_t> above = entry(stat, "hierarchical_memory_limit");
    if (above) limit = std::min(limit.value_or(*above), *above);
    add_memory(limit, leading_integer(read_text(group / "memory.usage_in_bytes")), kept, group);
  }

  void read_v1_cpu(const fs::path& group) {
    const int64_t quota = leading_integer(read_text(group / "cpu.cfs_quota_us")).value_or(0);
    const int64_t period = leading_integer(read_text(group / "cpu.cfs_period_us")).value_or(0);
    if (quota > 0 && period > 0) {
      add_quota(static_cast<double>(quota) / static_cast<double>(period), group);
    }
  }

  void add_quota(double cores, const fs::path& group) {
    if (cores <= 0 || (limits_.cpu && limits_.cpu->cores <= cores)) return;
    limits_.cpu = {cores, group.string()};
  }

  void add_memory(std::optional<int64_t> limit, std::optional<int64_t> used, int64_t kept,
                  const fs::path& group) {
    if (!limit || *limit < 0 || *limit >= kUnlimited) return;
    const int64_t held = std::max<int64_t>(0, used.value_or(0) - kept);
    const MemoryLimit found{*limit, std::max<int64_t>(0, *limit - held), group.string()};
    if (!limits_.memory || found.bytes < limits_.memory->bytes) limits_.memory = found;
    if (!limits_.least_free || found.free_bytes < limits_.least_free->free_bytes) {
      limits_.least_free = found;
    }
  }

  std::vector<Membership> memberships_;
  fs::path mounts_;
  GroupLimits limits_;
};

}  // namespace

GroupLimits read_group_limits(const std::string& root) { return Reader(root).read(); }

double parse_cpu_quota(std::string_view cpu_max) {
  const size_t space = cpu_max.find(' ');
  if (space == std::string_view::npos) return 0;
  const int64_t quota = leading_integer(cpu_max).value_or(0);
  const int64_t period = leading_integer(cpu_max.substr(space + 1)).value_or(0);
  return quota > 0 && period > 0 ? static_cast<double>(quota) / static_cast<double>(period) : 0;
}

}  // namespace weft
