#include "data/tokenizer/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "core/base/error.h"

namespace weft {
namespace {

constexpr size_t kScanUpTo = 80;  // tokens; where the two loops took about equally long
constexpr uint32_t kNone = ~uint32_t{0};

uint64_t heap_entry(int32_t rank, size_t at) { return static_cast<uint64_t>(rank) << 32 | at; }

}  // namespace

MergeTable::MergeTable(size_t pairs) {
  const size_t slots = std::bit_ceil(2 * std::max<size_t>(pairs, 8));
  keys_.assign(slots, kEmpty);
  ranks_.resize(slots);
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
}

bool MergeTable::insert(TokenId left, TokenId right, int32_t rank, TokenId product) {
  WEFT_CHECK(2 * (size_ + 1) <= keys_.size(), "merge table made for fewer than {} pairs", size_);
  const uint64_t key = key_of(left, right);
  size_t slot = slot_of(key);
  for (; keys_[slot] != kEmpty; slot = (slot + 1) & mask_) {
    if (keys_[slot] == key) return false;
  }
  keys_[slot] = key;
  ranks_[slot] = rank;
  if (products_.size() <= static_cast<size_t>(rank)) products_.resize(rank + size_t{1}, -1);
  products_[static_cast<size_t>(rank)] = product;
  ++size_;
  return true;
}

size_t merge_all(const MergeTable& table, std::span<TokenId> ids, MergeScratch& scratch) {
  if (ids.size() <= kScanUpTo) return merge_by_scan(table, ids, scratch);
  return merge_by_heap(table, ids, scratch);
}

// ranks[i] is the rank of the pair (ids[i], ids[i + 1]); the last entry is a sentinel.
size_t merge_by_scan(const MergeTable& table, std::span<TokenId> ids, MergeScratch& scratch) {
  size_t n = ids.size();
  if (n < 2) return n;
  std::vector<int32_t>& ranks = scratch.ranks;
  ranks.resize(n);
  for (size_t i = 0; i + 1 < n; ++i) ranks[i] = table.rank(ids[i], ids[i + 1]);
  ranks[n - 1] = MergeTable::kNoRank;
  while (n > 1) {
    size_t at = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (ranks[i] < ranks[at]) at = i;
    }
    if (ranks[at] == MergeTable::kNoRank) break;
    ids[at] = table.product(ranks[at]);
    for (size_t i = at + 1; i + 1 < n; ++i) {
      ids[i] = ids[i + 1];
      ranks[i] = ranks[i + 1];
    }
    --n;
    ranks[at] = at + 1 < n ? table.rank(ids[at], ids[at + 1]) : MergeTable::kNoRank;
    if (at > 0) ranks[at - 1] = table.rank(ids[at - 1], ids[at]);
  }
  return n;
}

// A linked list of the tokens that are left, each at the place of its first byte, and a heap of
// (rank, place). An entry is stale where the place no longer has that rank.
size_t merge_by_heap(const MergeTable& table, std::span<TokenId> ids, MergeScratch& scratch) {
  const size_t n = ids.size();
  if (n >= kNone) {
    fail(ErrorKind::input, "a run of {} bytes without a word boundary; the longest is {}", n,
         kNone - 1);
  }
  auto& [ranks, next, previous, heap] = scratch;
  ranks.assign(n, MergeTable::kNoRank);
  next.resize(n);
  previous.resize(n);
  heap.clear();
  for (size_t i = 0; i < n; ++i) {
    next[i] = i + 1 < n ? static_cast<uint32_t>(i + 1) : kNone;
    previous[i] = i > 0 ? static_cast<uint32_t>(i - 1) : kNone;
    if (i + 1 == n) break;
    ranks[i] = table.rank(ids[i], ids[i + 1]);
    if (ranks[i] != MergeTable::kNoRank) heap.push_back(heap_entry(ranks[i], i));
  }
  const std::greater<> smallest_first;
  std::make_heap(heap.begin(), heap.end(), smallest_first);
  const auto rank_again = [&](uint32_t at) {
    ranks[at] = next[at] == kNone ? MergeTable::kNoRank : table.rank(ids[at], ids[next[at]]);
    if (ranks[at] == MergeTable::kNoRank) return;
    heap.push_back(heap_entry(ranks[at], at));
    std::push_heap(heap.begin(), heap.end(), smallest_first);
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), smallest_first);
    const uint64_t entry = heap.back();
    heap.pop_back();
    const auto at = static_cast<uint32_t>(entry);
    const auto rank = static_cast<int32_t>(entry >> 32);
    if (ranks[at] != rank) continue;
    const uint32_t gone = next[at];
    ids[at] = table.product(rank);
    ranks[gone] = MergeTable::kNoRank;
    next[at] = next[gone];
    if (next[at] != kNone) previous[next[at]] = at;
    rank_again(at);
    if (previous[at] != kNone) rank_again(previous[at]);
  }
  size_t left = 0;
  for (uint32_t at = n > 0 ? 0 : kNone; at != kNone; at = next[at]) ids[left++] = ids[at];
  return left;
}

}  // namespace weft
