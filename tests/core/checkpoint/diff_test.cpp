#include "core/checkpoint/diff.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tests/core/checkpoint/fixture.h"

namespace weft {
namespace {

using ::testing::Each;
using ::testing::IsEmpty;

TensorComparison compare(const std::string& a, const std::string& b) {
  return compare_tensors(CheckpointReader::open(a), "A", CheckpointReader::open(b), "B");
}

// Room for two checkpoints of step 1.
class Pair {
 public:
  std::string a() const { return root_.path() + "/a"; }
  std::string b() const { return root_.path() + "/b"; }
  static std::string checkpoint(const std::string& directory) {
    return directory + "/step_00000001";
  }
  TensorComparison compared() const { return compare(checkpoint(a()), checkpoint(b())); }

 private:
  TemporaryDirectory root_;
};

TEST(Diff, LayoutsDoNotMatter) {
  Pair pair;
  ASSERT_THAT(save(pair.a(), 1, by_rows, 1), Each(""));
  ASSERT_THAT(save(pair.b(), 1, flat_ranges, 3), Each(""));
  const TensorComparison same = pair.compared();
  EXPECT_EQ(same.tensors, static_cast<int64_t>(test_tensors().size()));
  EXPECT_THAT(same.differences, IsEmpty());
}

TEST(Diff, EveryTensorOfAnotherStepDiffers) {
  const TemporaryDirectory directory;
  ASSERT_THAT(save(directory.path(), 1, by_rows, 1), Each(""));
  ASSERT_THAT(save(directory.path(), 2, by_rows, 1), Each(""));
  const TensorComparison all =
      compare(directory.path() + "/step_00000001", directory.path() + "/step_00000002");
  EXPECT_EQ(all.differences.size(), test_tensors().size());
}

// One f32 tensor "t" of these values.
void save_values(const std::string& directory, const std::vector<float>& values, Shape shape) {
  const Shard shard{"t", "weight", shape, DType::f32, whole(shape), values.data()};
  const auto change = [&](SaveRequest& request, int) {
    request.shards = std::span<const Shard>(&shard, 1);
  };
  ASSERT_THAT(save(directory, 1, by_rows, 1, change), Each(""));
}

TEST(Diff, CountsElementsAndMeasuresTheLargestDifference) {
  Pair pair;
  save_values(pair.a(), {1, 2, 3, 4}, {2, 2});
  save_values(pair.b(), {1, 2.5, 3, 3.75}, {2, 2});
  const TensorComparison result = pair.compared();
  ASSERT_EQ(result.differences.size(), 1u);
  EXPECT_EQ(result.differences[0].name, "t");
  EXPECT_EQ(result.differences[0].elements, 4);
  EXPECT_EQ(result.differences[0].different, 2);
  EXPECT_EQ(result.differences[0].max_difference, 0.5);
}

TEST(Diff, ComparesBitsAndCallsNoNumberInfinitelyFar) {
  Pair pair;
  save_values(pair.a(), {0.0f, std::nanf(""), 1.0f}, {3});
  save_values(pair.b(), {-0.0f, std::nanf(""), std::nanf("")}, {3});
  const TensorComparison result = pair.compared();
  ASSERT_EQ(result.differences.size(), 1u);
  EXPECT_EQ(result.differences[0].different, 2);  // -0 and the last; equal NaNs are equal
  EXPECT_EQ(result.differences[0].max_difference, std::numeric_limits<double>::infinity());
}

TEST(Diff, NamesOtherShapesAndTensorsOfOnlyOne) {
  Pair pair;
  save_values(pair.a(), {1, 2, 3, 4}, {2, 2});
  save_values(pair.b(), {1, 2, 3, 4}, {4});
  EXPECT_EQ(pair.compared().differences.at(0).structure, "f32[2, 2] in A, f32[4] in B");
  ASSERT_THAT(save(pair.b(), 1, by_rows, 1), Each(""));
  const TensorComparison result = pair.compared();
  EXPECT_EQ(result.differences.size(), test_tensors().size() + 1);
  for (const TensorDifference& d : result.differences) {
    EXPECT_EQ(d.structure, d.name == "t" ? "only in A" : "only in B");
  }
}

TEST(Diff, LooksAtOneKindAlone) {
  Pair pair;
  ASSERT_THAT(save(pair.a(), 1, by_rows, 1), Each(""));
  ASSERT_THAT(save(pair.b(), 1, by_rows, 1), Each(""));
  const auto a = CheckpointReader::open(Pair::checkpoint(pair.a()));
  const auto b = CheckpointReader::open(Pair::checkpoint(pair.b()));
  int64_t weights = 0;
  for (const TestTensor& t : test_tensors()) weights += t.kind == "weight" ? 1 : 0;
  EXPECT_EQ(compare_tensors(a, "A", b, "B", "weight").tensors, weights);
}

}  // namespace
}  // namespace weft
