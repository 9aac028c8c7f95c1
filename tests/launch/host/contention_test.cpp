// Made-up files of /proc below a folder of the test's own.
#include "launch/host/contention.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace weft {
namespace {

namespace fs = std::filesystem;

class ContentionTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "weft-cores-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    root_ = name;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }

  fs::path root_;
};

TEST_F(ContentionTest, IsTheTimeThatThreadsWaited) {
  write("proc/self/task/1/schedstat", "1000000000 5000000000 3");
  write("proc/self/task/2/schedstat", "0 0 0");
  write("proc/stat", "cpu  100 0 100 700 0 0 0 100 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1");
  Contention contention(root_.string());
  EXPECT_FALSE(contention.look()) << "no time has passed";
  write("proc/self/task/1/schedstat", "1900000000 5100000000 9");
  write("proc/self/task/2/schedstat", "700000000 300000000 9");
  write("proc/stat", "cpu  200 0 200 1400 0 0 0 200 0 0");
  const auto time = contention.look();
  ASSERT_TRUE(time);
  EXPECT_DOUBLE_EQ(time->waiting, 0.2);
  EXPECT_DOUBLE_EQ(time->stolen, 0.1);
  EXPECT_TRUE(time->busy());
  EXPECT_EQ(
      to_text(*time),
      "threads waited 20 % of their time for a core, the hypervisor took 10 % of the machine's");
  write("proc/self/task/1/schedstat", "2900000000 5110000000 9");
  EXPECT_FALSE(contention.look()->busy());
}

TEST_F(ContentionTest, IsNotKnownWithoutItsFiles) {
  Contention nothing(root_.string());
  EXPECT_FALSE(nothing.look());
  write("proc/self/task/1/schedstat", "nonsense");
  write("proc/stat", "cpu");
  EXPECT_FALSE(nothing.look());
  write("proc/self/task/1/schedstat", "5000000000 0 1");
  const auto time = nothing.look();
  ASSERT_TRUE(time);
  EXPECT_FALSE(time->busy());
  // A thread has ended, and its time with it.
  fs::remove_all(root_ / "proc/self/task/1");
  EXPECT_FALSE(nothing.look());
}

}  // namespace
}  // namespace weft
