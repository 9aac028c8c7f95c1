// Shape: the extents of a tensor, outermost dim first. A value type without heap memory.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace weft {

class Shape {
 public:
  static constexpr int kMaxRank = 5;

  Shape() = default;
  Shape(std::initializer_list<int64_t> extents);

  int rank() const { return rank_; }
  int64_t operator[](int dim) const { return extents_[static_cast<size_t>(dim)]; }
  int64_t& operator[](int dim) { return extents_[static_cast<size_t>(dim)]; }
  int64_t back() const { return extents_[static_cast<size_t>(rank_ - 1)]; }
  void push_back(int64_t extent);
  int64_t elements() const;  // product of the extents; 1 for rank 0
  int64_t rows() const;      // product of all extents but the last; rank >= 1
  const int64_t* begin() const { return extents_.data(); }
  const int64_t* end() const { return extents_.data() + rank_; }
  bool operator==(const Shape&) const;

 private:
  std::array<int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

std::string to_string(const Shape&);  // "[4, 64, 768]"

}  // namespace weft
