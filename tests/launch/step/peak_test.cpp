#include "launch/step/peak.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/backends/backends.h"
#include "parallel/comm/bootstrap.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

class PeakTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "weft-peak-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    path_ = (folder_ / "cache/weft/peaks").string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string text() const {
    std::ostringstream all;
    all << std::ifstream(path_).rdbuf();
    return all.str();
  }

  fs::path folder_;
  std::string path_;
};

TEST_F(PeakTest, IsTheHighestThatWasMeasured) {
  const PeakFile file(path_);
  EXPECT_EQ(file.get("host | f32"), 0);
  file.raise("host | f32", 2e11);
  file.raise("host | f32", 1e11);
  file.raise("host | bf16", 4e11);
  EXPECT_EQ(PeakFile(path_).get("host | f32"), 2e11);
  EXPECT_EQ(PeakFile(path_).get("host | bf16"), 4e11);
  EXPECT_EQ(std::distance(fs::directory_iterator(fs::path(path_).parent_path()), {}), 1);
}

TEST_F(PeakTest, NeverFailsForItsFile) {
  fs::create_directories(fs::path(path_).parent_path());
  std::ofstream(path_) << "lots host\n\n-3 host\n1e11\nnan host\ninf host\n3e11 other host\n";
  const PeakFile file(path_);
  EXPECT_EQ(file.get("host"), 0);
  EXPECT_EQ(file.get("other host"), 3e11);
  file.raise("host", 1e11);
  EXPECT_EQ(file.get("host"), 1e11);
  EXPECT_EQ(file.get("other host"), 3e11);
  for (const std::string& bad :
       {std::string(), std::string("/proc/none/peaks"), path_ + "/peaks"}) {
    PeakFile(bad).raise("host", 1e11);
    EXPECT_EQ(PeakFile(bad).get("host"), 0) << bad;
  }
}

// A step that is faster than the peak shows that the peak was measured on a busy machine.
TEST_F(PeakTest, OfAJobIsCorrectedUpward) {
  run_local_ranks(2, [&](Bootstrap& bootstrap) {
    const auto device = make_device({.threads = 1});
    const auto stream = device->make_stream(StreamKind::compute);
    JobPeak peak(*device, *stream, DType::f32, Bf16Products::automatic, bootstrap, PeakFile(path_));
    EXPECT_GT(peak.flops_per_second(), 0);
    peak.reached(1.0);
    EXPECT_GT(peak.flops_per_second(), 1.0);
    peak.reached(8e15);
    EXPECT_EQ(peak.flops_per_second(), 8e15);
    peak.keep();
    bootstrap.barrier();
    JobPeak again(*device, *stream, DType::f32, Bf16Products::automatic, bootstrap,
                  PeakFile(path_));
    EXPECT_NEAR(again.flops_per_second(), 8e15, 1e11) << text();
    JobPeak other(*device, *stream, DType::bf16, Bf16Products::converted, bootstrap,
                  PeakFile(path_));
    EXPECT_LT(other.flops_per_second(), 1e15) << "of another type";
  });
}

}  // namespace
}  // namespace weft
