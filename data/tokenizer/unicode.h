// The classes of character that pre-tokenizers tell apart, from one pinned Unicode version.
#pragma once

#include <cstdint>

namespace weft {

// letter: general category L*; number: N*; space: the property White_Space (which has U+0085 and
// lacks U+180E, unlike \s of some regular expression engines); other: all else.
enum class CharClass : uint8_t { other, letter, number, space };

// Two-stage table, written by tools/make_unicode_table.py: 2 bits per code point, 256 code points
// per block.
namespace unicode_table {
inline constexpr char32_t kLimit = 0x40000;  // everything from here on is of class other
extern const char* const kVersion;
extern const uint8_t kIndex[kLimit / 256];
extern const uint64_t kBlocks[][8];
}  // namespace unicode_table

inline CharClass char_class(char32_t cp) {
  if (cp >= unicode_table::kLimit) return CharClass::other;
  const uint64_t word = unicode_table::kBlocks[unicode_table::kIndex[cp >> 8]][cp >> 5 & 7];
  return static_cast<CharClass>(word >> (2 * (cp & 31)) & 3);
}

}  // namespace weft
