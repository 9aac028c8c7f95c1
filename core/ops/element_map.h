// Where the elements of a call lie in a whole tensor, and how they are rounded by their numbers
// there.
#pragma once

#include <cstdint>

#include "core/ops/op.h"

namespace weft {

// Element e of a call is element first + e / columns * stride + e % columns of the whole tensor,
// row by row.
struct ElementMap {
  int64_t first = 0;
  int64_t columns = 1;
  int64_t stride = 1;

  constexpr uint64_t number(int64_t e) const {
    return static_cast<uint64_t>(first + e / columns * stride + e % columns);
  }
};
void expect_elements(const OpName& op, const ElementMap& elements);

}  // namespace weft
