// Random words of a run of elements (core/base/philox.h), made into a buffer on the stack.
#pragma once

#include <cstdint>

#include "core/base/philox.h"
#include "core/kernels/team.h"

namespace weft::kernels {

constexpr int64_t kWordBlocks = 64;
constexpr int64_t kWords = 4 * kWordBlocks;  // of the buffer

// How many of `n` elements from `first` on one buffer holds.
WEFT_KERNEL int64_t words_at_once(uint64_t first, int64_t n) {
  const int64_t room = kWords - static_cast<int64_t>(first % 4);
  return n < room ? n : room;
}

// random_word(key, index) without an index that the compiler does not know, which would put the
// words of a GPU's thread into memory.
WEFT_KERNEL uint32_t word_at(const RandomKey& key, uint64_t index) {
  const auto words = random_block(key, index / 4);
  const uint64_t place = index % 4;
  const uint32_t low = place == 0 ? words[0] : words[1];
  const uint32_t high = place == 2 ? words[2] : words[3];
  return place < 2 ? low : high;
}

// The words of elements [first, first + n) of `key`, n at most words_at_once; they lie in `buffer`.
template <typename Team>
WEFT_KERNEL const uint32_t* random_words(Team team, const RandomKey& key, uint64_t first, int64_t n,
                                         uint32_t (&buffer)[kWords]) {
  const uint64_t block = first / 4;
  const int64_t skip = static_cast<int64_t>(first % 4);
  team.for_each((skip + n + 3) / 4, [&buffer, key, block](int64_t i) WEFT_LANE {
    const auto word = random_block(key, block + static_cast<uint64_t>(i));
    buffer[4 * i] = word[0];
    buffer[4 * i + 1] = word[1];
    buffer[4 * i + 2] = word[2];
    buffer[4 * i + 3] = word[3];
  });
  return buffer + skip;
}

}  // namespace weft::kernels
