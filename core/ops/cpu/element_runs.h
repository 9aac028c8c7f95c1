// The elements of a call as runs that lie side by side in the whole tensor.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/kernels/random_words.h"
#include "core/ops/element_map.h"

namespace weft::detail {

// Calls body(at, first, count) for runs that cover elements [begin, end) of a call: elements [at,
// at + count) of the call are elements [first, first + count) of the whole tensor, as many as one
// buffer of random words serves.
template <typename Body>
void for_each_run(const ElementMap& map, int64_t begin, int64_t end, const Body& body) {
  for (int64_t at = begin; at < end;) {
    const int64_t column = at % map.columns;
    const uint64_t first = map.number(at);
    const int64_t count = kernels::words_at_once(first, std::min(end - at, map.columns - column));
    body(at, first, count);
    at += count;
  }
}

}  // namespace weft::detail
