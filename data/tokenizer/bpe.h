// Byte pair encoding on token ids: a table of merges, and the merge loop.
//
// A merge joins two neighbouring tokens into their product. The pair of smallest rank goes first,
// the leftmost of equals, until no pair of neighbours has a rank. Every rank belongs to one
// product.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace weft {

// (left, right) -> rank, and rank -> product. Open addressing; at most half full.
class MergeTable {
 public:
  static constexpr int32_t kNoRank = std::numeric_limits<int32_t>::max();

  // Makes room for this many pairs in all, so that no insert has to move the table.
  explicit MergeTable(size_t pairs);

  // False, and nothing changed, where the pair is already there.
  bool insert(TokenId left, TokenId right, int32_t rank, TokenId product);

  int32_t rank(TokenId left, TokenId right) const {
    const uint64_t key = key_of(left, right);
    for (size_t slot = slot_of(key);; slot = (slot + 1) & mask_) {
      if (keys_[slot] == key) return ranks_[slot];
      if (keys_[slot] == kEmpty) return kNoRank;
    }
  }
  TokenId product(int32_t rank) const { return products_[static_cast<size_t>(rank)]; }
  size_t size() const { return size_; }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};

  static uint64_t key_of(TokenId left, TokenId right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t slot_of(uint64_t key) const {
    return static_cast<size_t>(key * 0x9E3779B97F4A7C15 >> shift_);
  }

  std::vector<uint64_t> keys_;
  std::vector<int32_t> ranks_;
  std::vector<TokenId> products_;
  size_t mask_ = 0;
  size_t size_ = 0;
  int shift_ = 0;
};

// Memory that merge loops reuse from piece to piece.
struct MergeScratch {
  std::vector<int32_t> ranks;
  std::vector<uint32_t> next, previous;
  std::vector<uint64_t> heap;
};

// Applies every merge to `ids` in place and returns how many are left at the front of it. A short
// piece takes time quadratic in its length but with a small constant, a long one n log n.
size_t merge_all(const MergeTable& table, std::span<TokenId> ids, MergeScratch& scratch);

// The two loops behind merge_all; the results are the same.
size_t merge_by_scan(const MergeTable& table, std::span<TokenId> ids, MergeScratch& scratch);
size_t merge_by_heap(const MergeTable& table, std::span<TokenId> ids, MergeScratch& scratch);

}  // namespace weft
