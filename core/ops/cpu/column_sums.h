// column_sums: sums over rows with an order that the thread count cannot change.
#pragma once

#include <algorithm>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/team.h"
#include "core/ops/cpu/scratch.h"

namespace weft::detail {

// Rows are cut into blocks of kRows. add(begin, end, partial) adds rows [begin, end) into the
// zeroed partial[0, width); the partials are then added in block order, and finish(c, total)
// receives the sum of column c. Blocks are as many as `rows` asks for, never as many as threads.
template <typename T, typename Add, typename Finish>
void column_sums(int threads, int64_t rows, int64_t width, Scratch& scratch, const Add& add,
                 const Finish& finish) {
  constexpr int64_t kRows = 32;
  constexpr int64_t kColumns = 256;
  const int64_t blocks = (rows + kRows - 1) / kRows;
  T* partials = scratch.get<T>(blocks * width);
  parallel_for(threads, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      T* partial = partials + block * width;
      std::fill_n(partial, width, T(0));
      add(block * kRows, std::min(rows, (block + 1) * kRows), partial);
    }
  });
  parallel_for(threads, width, kColumns, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c += kColumns) {
      const int64_t count = std::min(kColumns, end - c);
      T total[kColumns] = {};
      for (int64_t block = 0; block < blocks; ++block) {
        const T* partial = partials + block * width + c;
        T* t = total;
        kernels::HostTeam().for_each(count, [=](int64_t i) WEFT_LANE { t[i] += partial[i]; });
      }
      for (int64_t i = 0; i < count; ++i) finish(c + i, total[i]);
    }
  });
}

}  // namespace weft::detail
