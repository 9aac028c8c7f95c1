// Slices: a matrix product cut into as many products as there are threads, each computed by one
// thread. The library that multiplies never shares a product out itself, so it cannot count on
// threads that do not come.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "core/base/error.h"
#include "core/device/cpu/parallel_for.h"

namespace weft::detail {

// Rows [m0, m1) and columns [n0, n1) of the product.
struct Slice {
  int64_t m0, m1, n0, n1;
  int64_t rows() const { return m1 - m0; }
  int64_t columns() const { return n1 - n0; }
  bool operator==(const Slice&) const = default;
};

// A grid of slices, chosen by the shape and the number of threads alone. Sums over k are never cut:
// which grid it is hardly ever changes a bit of the result.
class Slices {
 public:
  // Of an [m,n] product that sums over k.
  Slices(int64_t m, int64_t n, int64_t k, int threads) : m_(m), n_(n) {
    if (m * n * k < kSmall) return;
    int64_t least = cost(1, 1);
    for (int64_t rows = 1; rows <= threads; ++rows) {
      const int64_t columns = threads / rows;
      if (cost(rows, columns) >= least) continue;
      least = cost(rows, columns);
      rows_ = rows;
      columns_ = columns;
    }
  }

  int64_t count() const { return rows_ * columns_; }
  // May be empty, where there are fewer blocks than slices.
  Slice at(int64_t i) const {
    const int64_t row = i / columns_;
    const int64_t column = i % columns_;
    return {cut(m_, row, rows_, kRowBlock), cut(m_, row + 1, rows_, kRowBlock),
            cut(n_, column, columns_, kColumnBlock), cut(n_, column + 1, columns_, kColumnBlock)};
  }

 private:
  // What the kernels compute at once; slices are whole multiples of it but for the last.
  static constexpr int64_t kRowBlock = 16, kColumnBlock = 48;
  static constexpr int64_t kSmall = int64_t{1} << 15;  // not worth waking a thread
  // Reading and packing a row or column of an operand takes as long as this many products of it.
  static constexpr int64_t kPacking = 64;

  static int64_t cut(int64_t size, int64_t i, int64_t parts, int64_t block) {
    return std::min(size, (size + block - 1) / block * i / parts * block);
  }
  static int64_t largest(int64_t size, int64_t parts, int64_t block) {
    const int64_t blocks = (size + block - 1) / block;
    return std::min(size, (blocks + parts - 1) / parts * block);
  }
  // Of the largest slice, in products per element of k.
  int64_t cost(int64_t rows, int64_t columns) const {
    const int64_t m = largest(m_, rows, kRowBlock);
    const int64_t n = largest(n_, columns, kColumnBlock);
    return m * n + kPacking * (m + n);
  }

  int64_t m_, n_;
  int64_t rows_ = 1, columns_ = 1;
};

// What stands in c before a slice is computed that does not add to it: a NaN that no product gives.
// A corner that still holds it afterwards was not written.
class UnwrittenMark {
 public:
  UnwrittenMark(float* out, int64_t stride, const Slice& s)
      : corners_{out + s.m0 * stride + s.n0, out + s.m0 * stride + s.n1 - 1,
                 out + (s.m1 - 1) * stride + s.n0, out + (s.m1 - 1) * stride + s.n1 - 1} {
    for (float* corner : corners_) *corner = std::bit_cast<float>(kMark);
  }
  bool stands() const {
    return std::any_of(std::begin(corners_), std::end(corners_), [](const float* corner) {
      return std::bit_cast<uint32_t>(*corner) == kMark;
    });
  }

 private:
  static constexpr uint32_t kMark = 0x7fe5'eed5;  // quiet, so copying it raises nothing
  float* corners_[4];
};

// Calls multiply(i, slice), which is to write the slice of `out` (rows `stride` apart) and return
// the library's status, for every slice that is not empty, in up to `threads` threads. A slice that
// was refused or, unless `accumulate`, left unwritten is an internal error.
template <typename Multiply>
void for_each_slice(const Slices& slices, int threads, float* out, int64_t stride, bool accumulate,
                    const Multiply& multiply) {
  constexpr int kUnwritten = -1, kOutOfMemory = 1;  // the latter is dnnl_out_of_memory
  int problem = 0;
  parallel_for(threads, slices.count(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Slice slice = slices.at(i);
      if (slice.rows() == 0 || slice.columns() == 0) continue;
      int status = 0;
      if (accumulate) {
        status = multiply(i, slice);
      } else {
        const UnwrittenMark mark(out, stride, slice);
        status = multiply(i, slice);
        if (status == 0 && mark.stands()) status = kUnwritten;
      }
      if (status == 0) continue;
#pragma omp atomic write
      problem = status;
    }
  });
  WEFT_CHECK(problem != kUnwritten,
             "oneDNN left a part of a matrix product unwritten and reported success");
  if (problem == kOutOfMemory) {
    fail(
        ErrorKind::environment,
        "oneDNN has no memory left for a matrix product; raise ulimit -v or the container's limit, "
        "or use a smaller model or micro-batch");
  }
  WEFT_CHECK(problem == 0, "a matrix product by oneDNN failed with status {}", problem);
}

}  // namespace weft::detail
