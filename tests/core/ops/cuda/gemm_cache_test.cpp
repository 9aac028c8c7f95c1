#include "core/ops/cuda/gemm_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/error.h"

namespace weft {
namespace {

const std::string kMachine = "NVIDIA H200, 132 multiprocessors, cuBLAS 130100";

class GemmCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = testing::TempDir() + std::to_string(getpid()) + test->name();
    std::filesystem::remove_all(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static GemmKey key() {
    return {.m = 4800,
            .n = 32768,
            .k = 1600,
            .b_stride = 1600,
            .c_stride = 4800,
            .transpose_a = true,
            .epilogue = 36};
  }
  static GemmChoice choice(uint64_t first) {
    GemmChoice c{.workspace_bytes = 4096, .microseconds = 12.5};
    c.algorithm = {first, 2, 3, 4, 5, 6, 7, ~uint64_t{0}};
    return c;
  }
  std::string message_of_reading() const {
    try {
      GemmCache(folder_, kMachine);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  std::string folder_;
};

TEST_F(GemmCacheTest, KeepsChoicesBetweenRuns) {
  GemmCache first(folder_, kMachine);
  EXPECT_EQ(first.find(key()), nullptr);
  first.put(key(), choice(1));
  first.save();
  const GemmCache second(folder_, kMachine);
  ASSERT_NE(second.find(key()), nullptr);
  EXPECT_EQ(*second.find(key()), choice(1));
  EXPECT_EQ(second.path(), first.path());
}

TEST_F(GemmCacheTest, TellsProductsApart) {
  GemmCache cache(folder_, kMachine);
  cache.put(key(), choice(1));
  std::vector<GemmKey> others(12, key());
  others[0].m = 1;
  others[1].n = 1;
  others[2].k = 1;
  others[3].transpose_a = false;
  others[4].transpose_b = true;
  others[5].type = DType::f16;
  others[6].c_type = DType::f32;
  others[7].epilogue = 1;
  others[8].accumulate = true;
  others[9].alignment = 8;
  others[10].b_stride = 1664;
  others[11].c_stride = 4864;
  for (const GemmKey& other : others) EXPECT_EQ(cache.find(other), nullptr);
  for (const GemmKey& other : others) cache.put(other, choice(2));
  cache.save();
  EXPECT_EQ(GemmCache(folder_, kMachine).size(), others.size() + 1);
}

TEST_F(GemmCacheTest, OtherMachinesHaveOtherFiles) {
  GemmCache cache(folder_, kMachine);
  cache.put(key(), choice(1));
  cache.save();
  EXPECT_EQ(GemmCache(folder_, "NVIDIA H200, 132 multiprocessors, cuBLAS 130200").size(), 0U);
}

TEST_F(GemmCacheTest, JoinsWhatAnotherProcessWrote) {
  GemmCache mine(folder_, kMachine), theirs(folder_, kMachine);
  GemmKey other = key();
  other.m = 1600;
  theirs.put(other, choice(3));
  theirs.put(key(), choice(4));
  theirs.save();
  mine.put(key(), choice(1));
  mine.save();
  const GemmCache both(folder_, kMachine);
  ASSERT_NE(both.find(other), nullptr);
  EXPECT_EQ(*both.find(other), choice(3));
  EXPECT_EQ(*both.find(key()), choice(1)) << "what this process computed with";
}

TEST_F(GemmCacheTest, WithoutAFolderNothingIsKept) {
  GemmCache cache("", kMachine);
  cache.put(key(), choice(1));
  cache.save();
  EXPECT_EQ(cache.path(), "");
  EXPECT_NE(cache.find(key()), nullptr);
}

TEST_F(GemmCacheTest, RefusesFilesThatAreNotItsOwn) {
  GemmCache cache(folder_, kMachine);
  cache.put(key(), choice(1));
  cache.save();
  std::ifstream in(cache.path());
  std::string title, line;
  std::getline(in, title);
  std::getline(in, line);
  const auto write = [&](const std::string& text) { std::ofstream(cache.path()) << text; };
  write("something else\n" + line + "\n");
  EXPECT_NE(message_of_reading().find(":1: "), std::string::npos);
  for (const std::string& damaged :
       {line.substr(0, line.size() / 2), line + " 1", "x" + line, std::string()}) {
    write(title + "\n" + line + "\n" + damaged + "\n");
    EXPECT_NE(message_of_reading().find(":3: "), std::string::npos) << damaged;
  }
}

}  // namespace
}  // namespace weft
