// How sums over rows are cut, so that their order does not depend on anything else: host and device
// side, in builds without CUDA too.
#pragma once

#include <cstdint>

namespace weft::cuda {

// Rows are summed in blocks of this many, and the blocks in order.
constexpr int64_t kRowsOfPartial = 16;
constexpr int64_t blocks_of_rows(int64_t rows) {
  return (rows + kRowsOfPartial - 1) / kRowsOfPartial;
}

}  // namespace weft::cuda
