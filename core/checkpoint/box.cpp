#include "core/checkpoint/box.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/base/error.h"

namespace weft {
namespace {

// Row-major distance, in elements, from a box's first element to the tensor element `at`.
int64_t position(const Box& box, const Shape& at) {
  int64_t p = 0;
  for (int d = 0; d < at.rank(); ++d) p = p * box.extent[d] + (at[d] - box.offset[d]);
  return p;
}

// Moves `at` to the next index of the window over the dims before `inner`; false after the last.
bool advance(Shape& at, const Box& window, int inner) {
  for (int d = inner - 1; d >= 0; --d) {
    if (++at[d] < window.offset[d] + window.extent[d]) return true;
    at[d] = window.offset[d];
  }
  return false;
}

}  // namespace

Box whole(const Shape& global_shape) {
  Box box{global_shape, global_shape};
  for (int d = 0; d < global_shape.rank(); ++d) box.offset[d] = 0;
  return box;
}

std::string to_string(const Box& box) {
  std::string text;
  for (int d = 0; d < box.offset.rank(); ++d) {
    text +=
        fmt::format("{}{}:{}", d == 0 ? "" : ", ", box.offset[d], box.offset[d] + box.extent[d]);
  }
  return "[" + text + "]";
}

bool lies_within(const Box& box, const Shape& global_shape) {
  const int rank = global_shape.rank();
  if (box.offset.rank() != rank || box.extent.rank() != rank) return false;
  for (int d = 0; d < rank; ++d) {
    if (box.offset[d] > global_shape[d] || box.extent[d] > global_shape[d] - box.offset[d]) {
      return false;
    }
  }
  return true;
}

std::optional<Box> intersection(const Box& a, const Box& b) {
  Box common = a;
  for (int d = 0; d < a.offset.rank(); ++d) {
    const int64_t first = std::max(a.offset[d], b.offset[d]);
    const int64_t end = std::min(a.offset[d] + a.extent[d], b.offset[d] + b.extent[d]);
    if (end <= first) return std::nullopt;
    common.offset[d] = first;
    common.extent[d] = end - first;
  }
  return common;
}

std::optional<std::string> coverage_fault(const Shape& global_shape, std::span<const Box> boxes) {
  std::vector<const Box*> order;
  for (const Box& box : boxes) order.push_back(&box);
  const auto first_of = [](const Box* b) { return b->offset.rank() == 0 ? 0 : b->offset[0]; };
  std::sort(order.begin(), order.end(),
            [&](const Box* a, const Box* b) { return first_of(a) < first_of(b); });
  int64_t covered = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    covered += order[i]->elements();
    const int64_t end =
        order[i]->offset.rank() == 0 ? 1 : order[i]->offset[0] + order[i]->extent[0];
    for (size_t j = i + 1; j < order.size() && first_of(order[j]) < end; ++j) {
      if (intersection(*order[i], *order[j])) {
        return fmt::format("boxes {} and {} overlap", to_string(*order[i]), to_string(*order[j]));
      }
    }
  }
  if (covered == global_shape.elements()) return std::nullopt;
  return fmt::format("{} of {} elements are in no box", global_shape.elements() - covered,
                     global_shape.elements());
}

void for_each_run(const Box& source, const Box& target, const Box& window,
                  const std::function<void(const CopyRun&)>& visit) {
  // Trailing dims that the window takes whole from both arrays belong to one run, and so does the
  // dim before them.
  int inner = window.offset.rank();
  int64_t count = 1;
  while (inner > 0) {
    const int d = --inner;
    count *= window.extent[d];
    if (window.extent[d] != source.extent[d] || window.extent[d] != target.extent[d]) break;
  }
  if (window.elements() == 0) return;
  Shape at = window.offset;
  do {
    visit({position(source, at), position(target, at), count});
  } while (advance(at, window, inner));
}

}  // namespace weft
