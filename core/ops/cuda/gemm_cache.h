// GemmCache: which algorithm of cuBLASLt is fastest for a product, kept in a file so that it is
// measured once and later runs compute with the same one, to the last bit.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <string>

#include "core/base/dtype.h"

namespace weft {

// What algorithms are chosen by: a product as cuBLASLt sees it, column by column.
struct GemmKey {
  int64_t m = 0, n = 0, k = 0;
  int64_t b_stride = 0, c_stride = 0;  // of columns in memory
  bool transpose_a = false, transpose_b = false;
  DType type = DType::bf16;    // of a and b
  DType c_type = DType::bf16;  // of c
  int epilogue = 1;            // cublasLtEpilogue_t
  bool accumulate = false;
  int alignment = 16;  // bytes, of all tensors

  auto operator<=>(const GemmKey&) const = default;
};

struct GemmChoice {
  std::array<uint64_t, 8> algorithm{};  // a cublasLtMatmulAlgo_t
  uint64_t workspace_bytes = 0;
  double microseconds = 0;

  bool operator==(const GemmChoice&) const = default;
};

class GemmCache {
 public:
  // The choices of `machine` (GPU, multiprocessors, version of cuBLAS: what they hold for), as far
  // as `folder` has them. Without a folder the cache is empty and never saved. Throws Error{input}
  // with file and line for a file that is none of ours.
  GemmCache(std::string folder, std::string machine);

  const GemmChoice* find(const GemmKey& key) const;  // null if there is none
  void put(const GemmKey& key, const GemmChoice& choice) { choices_[key] = choice; }
  size_t size() const { return choices_.size(); }
  const std::string& path() const { return path_; }  // empty without a folder

  // Writes all choices, and those that another process has written meanwhile; readers see the file
  // before or after. Throws Error{io}.
  void save();

 private:
  void read();

  std::string machine_;
  std::string path_;
  std::map<GemmKey, GemmChoice> choices_;
};

}  // namespace weft
