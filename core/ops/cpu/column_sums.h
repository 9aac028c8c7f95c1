// column_sums: sums over rows with an order that the thread count cannot change.
#pragma once

#include <algorithm>

#include "core/device/cpu/parallel_for.h"
#include "core/kernels/storage.h"
#include "core/kernels/team.h"

namespace weft::detail {

constexpr int64_t kRowsOfPartial = 32;
// Sums that column_sums keeps.
constexpr int64_t partial_sums(int64_t rows, int64_t width) {
  return (rows + kRowsOfPartial - 1) / kRowsOfPartial * width;
}

// Rows are cut into blocks of kRowsOfPartial. add(begin, end, partial) adds rows [begin, end) into
// the zeroed partial[0, width); the partials, of which there are partial_sums(), are then added in
// block order, and finish(c, total) receives the sum of column c. Blocks are as many as `rows` asks
// for, never as many as threads.
template <typename T, typename Add, typename Finish>
void column_sums(int threads, int64_t rows, int64_t width, T* partials, const Add& add,
                 const Finish& finish) {
  constexpr int64_t kRows = kRowsOfPartial;
  constexpr int64_t kColumns = 256;
  const int64_t blocks = (rows + kRows - 1) / kRows;
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

// to[c] += the sum of column c of from [rows, n].
template <typename S, typename T>
void add_column_sums(int threads, int64_t rows, int64_t n, const S* from, T* partials, T* to) {
  const auto add = [=](int64_t begin, int64_t end, T* partial) {
    for (int64_t r = begin; r < end; ++r) {
      const S* row = from + r * n;
      kernels::HostTeam().for_each(
          n, [=](int64_t i) WEFT_LANE { partial[i] += kernels::load(row[i]); });
    }
  };
  column_sums<T>(threads, rows, n, partials, add, [=](int64_t c, T total) { to[c] += total; });
}

}  // namespace weft::detail
