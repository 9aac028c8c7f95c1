// Made-up files of control groups below a folder of the test's own; nothing is limited.
#include "launch/host/control_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "launch/host/machine.h"

namespace weft {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;

constexpr int64_t kMib = 1 << 20;

class ControlGroupsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "weft-groups-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    const fs::path file = root_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text << "\n";
  }
  // A file of /sys/fs/cgroup.
  void group(const std::string& path, const std::string& text) const {
    write("sys/fs/cgroup/" + path, text);
  }
  void group(const std::string& path, int64_t mib) const {
    group(path, std::to_string(mib * kMib));
  }
  void member(const std::string& lines) const { write("proc/self/cgroup", lines); }
  GroupLimits read() const { return read_group_limits(root_.string()); }

  fs::path root_;
};

TEST_F(ControlGroupsTest, LimitNothingWhereThereAreNone) {
  EXPECT_FALSE(read().cpu);
  EXPECT_FALSE(read().memory);
  member("0::/");
  group("memory.max", "max");
  group("cpu.max", "max 100000");
  EXPECT_FALSE(read().cpu);
  EXPECT_FALSE(read().memory);
  EXPECT_FALSE(read().least_free);
}

// A container sees its own group as the root.
TEST_F(ControlGroupsTest, OfAContainer) {
  member("0::/");
  group("cpu.max", "150000 100000");
  group("memory.max", 2048);
  group("memory.current", 2000);
  ASSERT_TRUE(read().cpu);
  EXPECT_EQ(read().cpu->cores, 1.5);
  EXPECT_THAT(read().cpu->group, EndsWith("/sys/fs/cgroup"));
  ASSERT_TRUE(read().memory);
  EXPECT_EQ(read().memory->bytes, 2048 * kMib);
  EXPECT_EQ(read().least_free->free_bytes, 48 * kMib);
}

// The kernel takes the page cache and its own caches back, but not what lies in a tmpfs, which
// "file" counts too.
TEST_F(ControlGroupsTest, DoNotCountThePageCacheAsUsed) {
  group("memory.max", 2048);
  group("memory.current", 2047);
  group("memory.stat", "anon 20971520\nfile 2100000000\nxinactive_file 7\ninactive_file " +
                           std::to_string(1500 * kMib) + "\nactive_file " +
                           std::to_string(23 * kMib) + "\nslab_reclaimable " +
                           std::to_string(4 * kMib));
  EXPECT_EQ(read().least_free->free_bytes, (1 + 1500 + 23 + 4) * kMib);
}

TEST_F(ControlGroupsTest, NeverHaveLessThanNothing) {
  group("memory.max", 100);
  group("memory.current", 120);
  EXPECT_EQ(read().least_free->free_bytes, 0);
  group("memory.stat", "inactive_file " + std::to_string(500 * kMib));
  EXPECT_EQ(read().least_free->free_bytes, 100 * kMib);
}

// A job of a batch system, seen from the host. An upper group may be the tighter one, and the group
// with the lowest limit need not be the one with the least left.
TEST_F(ControlGroupsTest, AboveCountToo) {
  member("0::/slurm/job_7/step_0");
  group("slurm/job_7/step_0/memory.max", 300);
  group("slurm/job_7/step_0/memory.current", 10);
  group("slurm/job_7/step_0/cpu.max", "max 100000");
  group("slurm/job_7/memory.max", 400);
  group("slurm/job_7/memory.current", 350);
  group("slurm/job_7/cpu.max", "50000 100000");
  group("slurm/cpu.max", "400000 100000");
  group("slurm/job_8/memory.max", 1);
  const GroupLimits limits = read();
  EXPECT_EQ(limits.memory->bytes, 300 * kMib);
  EXPECT_THAT(limits.memory->group, EndsWith("/slurm/job_7/step_0"));
  EXPECT_EQ(limits.least_free->free_bytes, 50 * kMib);
  EXPECT_THAT(limits.least_free->group, EndsWith("/slurm/job_7"));
  EXPECT_EQ(limits.cpu->cores, 0.5);
  EXPECT_THAT(limits.cpu->group, EndsWith("/slurm/job_7"));
}

// The path begins at the host's root, but what is mounted begins at the container's group.
TEST_F(ControlGroupsTest, AreFoundBelowAMountOfAPartOfTheTree) {
  member("0::/docker/abc/inner");
  group("memory.max", 500);
  group("inner/memory.max", 200);
  EXPECT_EQ(read().memory->bytes, 200 * kMib);
  fs::remove_all(root_ / "sys/fs/cgroup/inner");
  EXPECT_EQ(read().memory->bytes, 500 * kMib);
}

// A process outside of what its namespace shows.
TEST_F(ControlGroupsTest, OutsideOfTheNamespaceAreTheMountsOwn) {
  for (const char* line : {"0::/..", "0::/../..", "0::/../other"}) {
    member(line);
    group("memory.max", 500);
    group("cpu.max", "200000 100000");
    group("../memory.max", 1);
    EXPECT_EQ(read().memory->bytes, 500 * kMib);
    EXPECT_EQ(read().cpu->cores, 2);
  }
}

TEST_F(ControlGroupsTest, OfVersion1) {
  member("12:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:cpuset:/\n1:name=systemd:/docker/x");
  group("memory/docker/x/memory.limit_in_bytes", 100);
  group("memory/docker/x/memory.usage_in_bytes", 90);
  group("memory/docker/x/memory.stat", "inactive_file 1\ntotal_inactive_file " +
                                           std::to_string(30 * kMib) + "\ntotal_active_file " +
                                           std::to_string(5 * kMib));
  group("memory/memory.limit_in_bytes", "9223372036854771712");
  group("cpu,cpuacct/docker/x/cpu.cfs_quota_us", "250000");
  group("cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000");
  group("cpu,cpuacct/cpu.cfs_quota_us", "-1");
  group("cpu,cpuacct/cpu.cfs_period_us", "100000");
  EXPECT_EQ(read().memory->bytes, 100 * kMib);
  EXPECT_EQ(read().least_free->free_bytes, 45 * kMib);
  ASSERT_TRUE(read().cpu);
  EXPECT_EQ(read().cpu->cores, 2.5);
}

TEST_F(ControlGroupsTest, OfVersion1UnderTheControllersOwnName) {
  member("4:memory:/\n1:cpu,cpuacct:/");
  group("cpu/cpu.cfs_quota_us", "100000");
  group("cpu/cpu.cfs_period_us", "100000");
  group("memory/memory.limit_in_bytes", "9223372036854771712");
  group("memory/memory.stat", "hierarchical_memory_limit " + std::to_string(64 * kMib));
  EXPECT_EQ(read().cpu->cores, 1);
  EXPECT_EQ(read().memory->bytes, 64 * kMib);
}

// systemd's hybrid form: controllers in version 1, the tree of version 2 beside them.
TEST_F(ControlGroupsTest, OfBothVersions) {
  member("5:memory:/job\n0::/job");
  group("memory/job/memory.limit_in_bytes", 100);
  group("unified/job/cpu.max", "300000 100000");
  EXPECT_EQ(read().memory->bytes, 100 * kMib);
  EXPECT_EQ(read().cpu->cores, 3);
}

TEST_F(ControlGroupsTest, WithDamagedFilesLimitNothing) {
  member("nonsense\n0:\n7::x:y");
  group("memory.max", "lots");
  group("cpu.max", "100000");
  EXPECT_FALSE(read().memory);
  EXPECT_FALSE(read().cpu);
  fs::create_directories(root_ / "sys/fs/cgroup/memory.current");  // cannot be read as a file
  group("memory.max", 10);
  EXPECT_EQ(read().memory->bytes, 10 * kMib);
  EXPECT_EQ(read().least_free->free_bytes, 10 * kMib);
}

TEST_F(ControlGroupsTest, AreWhatAMachineOffers) {
  write("proc/meminfo", "MemTotal:       8388608 kB\nMemAvailable:   4194304 kB");
  EXPECT_EQ(read_machine(root_.string()).memory_bytes, 8192 * kMib);
  group("memory.max", 1024);
  group("memory.current", 24);
  group("cpu.max", "100000 100000");
  Machine machine = read_machine(root_.string());
  EXPECT_EQ(machine.memory_bytes, 1024 * kMib);
  EXPECT_EQ(machine.memory_available_bytes, 1000 * kMib);
  EXPECT_EQ(machine.cpu_quota->cores, 1);
  group("memory.max", 16384);
  machine = read_machine(root_.string());
  EXPECT_EQ(machine.memory_bytes, 8192 * kMib);
  EXPECT_EQ(machine.memory_available_bytes, 4096 * kMib);
}

TEST(CpuQuota, IsReadFromText) {
  EXPECT_EQ(parse_cpu_quota("150000 100000\n"), 1.5);
  EXPECT_EQ(parse_cpu_quota("max 100000\n"), 0);
  EXPECT_EQ(parse_cpu_quota(""), 0);
  EXPECT_EQ(parse_cpu_quota("100000 0"), 0);
}

}  // namespace
}  // namespace weft
