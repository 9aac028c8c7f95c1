#include "core/base/shape.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace weft {
namespace {

TEST(Shape, CountsElementsAndRows) {
  const Shape s{4, 64, 768};
  EXPECT_EQ(s.elements(), 4 * 64 * 768);
  EXPECT_EQ(s.rows(), 4 * 64);
  EXPECT_EQ(s.back(), 768);
  EXPECT_EQ(to_string(s), "[4, 64, 768]");
  EXPECT_EQ(Shape{}.elements(), 1);
}

TEST(Shape, RefusesMoreDimsThanItHolds) {
  EXPECT_THROW((Shape{1, 2, 3, 4, 5, 6}), Error);
  EXPECT_THROW((Shape{-1}), Error);
}

}  // namespace
}  // namespace weft
