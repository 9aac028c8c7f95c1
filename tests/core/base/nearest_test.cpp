#include "core/base/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace weft {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsSubstitutionsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("layers", "layers"), 0u);
  EXPECT_EQ(edit_distance("layrs", "layers"), 1u);
  EXPECT_EQ(edit_distance("layerss", "layers"), 1u);
  EXPECT_EQ(edit_distance("loyers", "layers"), 1u);
  EXPECT_EQ(edit_distance("alyers", "layers"), 1u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
}

TEST(Nearest, NamesTheClosestWithinAThird) {
  const std::vector<std::string> names = {"layers", "heads", "width"};
  EXPECT_EQ(nearest("layer", names), "layers");
  EXPECT_EQ(nearest("haeds", names), "heads");
  EXPECT_EQ(nearest("wdth", names), "width");
  EXPECT_EQ(nearest("dropout", names), std::nullopt);
  EXPECT_EQ(nearest("", names), std::nullopt);
  EXPECT_EQ(nearest(std::string(100'000, 'x'), names), std::nullopt);
}

}  // namespace
}  // namespace weft
