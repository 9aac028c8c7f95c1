#include "data/permutation.h"

#include <algorithm>
#include <bit>

#include "core/base/error.h"

namespace weft {
namespace {

constexpr int kRounds = 6;
// A domain of a few bits has few Feistel permutations; walking a larger one costs little.
constexpr int kMinHalfBits = 3;

}  // namespace

Permutation::Permutation(const RandomKey& key, int64_t size) : key_(key), size_(size) {
  WEFT_CHECK(size > 0, "a permutation of {} elements", size);
  const int bits = std::bit_width(static_cast<uint64_t>(size - 1));
  half_bits_ = std::max(kMinHalfBits, (bits + 1) / 2);
}

uint64_t Permutation::encrypt(uint64_t value) const {
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  uint64_t left = value >> half_bits_;
  uint64_t right = value & mask;
  for (uint64_t round = 0; round < kRounds; ++round) {
    const uint64_t mixed = left ^ (random_block(key_, right | round << 32)[0] & mask);
    left = right;
    right = mixed;
  }
  return left << half_bits_ | right;
}

int64_t Permutation::operator()(int64_t index) const {
  auto value = static_cast<uint64_t>(index);
  do {
    value = encrypt(value);
  } while (value >= static_cast<uint64_t>(size_));
  return static_cast<int64_t>(value);
}

}  // namespace weft
