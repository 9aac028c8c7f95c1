#include "core/base/shape.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/error.h"

namespace weft {

Shape::Shape(std::initializer_list<int64_t> extents) {
  for (int64_t e : extents) push_back(e);
}

void Shape::push_back(int64_t extent) {
  WEFT_CHECK(rank_ < kMaxRank, "a shape has at most {} dims", kMaxRank);
  WEFT_CHECK(extent >= 0, "negative extent {}", extent);
  extents_[static_cast<size_t>(rank_++)] = extent;
}

int64_t Shape::elements() const {
  int64_t n = 1;
  for (int64_t e : *this) n *= e;
  return n;
}

int64_t Shape::rows() const {
  int64_t n = 1;
  for (int d = 0; d + 1 < rank_; ++d) n *= (*this)[d];
  return n;
}

bool Shape::operator==(const Shape& other) const {
  return rank_ == other.rank_ && std::equal(begin(), end(), other.begin());
}

std::string to_string(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ", "));
}

}  // namespace weft
