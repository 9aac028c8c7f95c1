// Box: a window of a tensor, in the tensor's global coordinates.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>

#include "core/base/shape.h"

namespace weft {

// Elements offset[d] <= i[d] < offset[d] + extent[d]; both have the tensor's rank. A scalar (rank
// 0) has one box, {{}, {}}.
struct Box {
  Shape offset;
  Shape extent;

  int64_t elements() const { return extent.elements(); }
  bool operator==(const Box&) const = default;
};

// The box that is all of a tensor of this shape.
Box whole(const Shape& global_shape);

std::string to_string(const Box&);  // "[0:4, 128:256]"

// Whether the box has the tensor's rank and lies within it. Never overflows.
bool lies_within(const Box& box, const Shape& global_shape);

// What the two share, or nothing when that has no element. Both of one rank.
std::optional<Box> intersection(const Box& a, const Box& b);

// Why `boxes`, each within the tensor, do not hold every element exactly once; nothing when they
// do.
std::optional<std::string> coverage_fault(const Shape& global_shape, std::span<const Box> boxes);

// A maximal piece of a window that is contiguous in both arrays it is copied between; in elements.
struct CopyRun {
  int64_t source;  // first element in the row-major array of the source box
  int64_t target;  // first element in the row-major array of the target box
  int64_t count;
};

// Calls `visit` for the runs that together are `window`, ascending in source and in target. window
// lies within both boxes.
void for_each_run(const Box& source, const Box& target, const Box& window,
                  const std::function<void(const CopyRun&)>& visit);

}  // namespace weft
