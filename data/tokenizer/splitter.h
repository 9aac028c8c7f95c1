// Pre-tokenization: cutting text into the pieces that byte pair encoding never merges across.
//
// Two built-in patterns, hand-written over the Unicode table, because the engines that can run
// them (they need look-ahead and possessive quantifiers) disagree on \s, on case folding and on the
// Unicode version.
//
//   gpt2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//   cl100k  '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+|
//           ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s
//
// with \s = White_Space and $ = the very end of the text.
#pragma once

#include <cstddef>
#include <string_view>

namespace weft {

enum class SplitPattern { gpt2, cl100k };

std::string_view name(SplitPattern pattern);

// The end of the piece that starts at text[pos]; pos < text.size(). Every byte belongs to exactly
// one piece. Bytes that are not UTF-8 count as characters of class other. Takes time linear in the
// piece, or in the run of white space around it.
size_t piece_end(SplitPattern pattern, std::string_view text, size_t pos);

// The largest n such that the pieces of text[0, n) followed by those of text[n, ...) are those of
// the whole text, whatever follows it; 0 where no such place is found. Cuts lie at line ends, which
// are never next to '<', where a special token may begin, and between ASCII words.
size_t safe_cut(SplitPattern pattern, std::string_view text);

}  // namespace weft
