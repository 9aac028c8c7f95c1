// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

inline constexpr size_t kQuoted = 40;  // bytes of a bad line that a message quotes

struct TextPosition {
  size_t offset = 0;  // in bytes
  size_t line = 1;
};

// The position behind `text`, which begins at `start`.
TextPosition advance(TextPosition start, std::string_view text);

// U+FEFF at the beginning of a file only says that it is UTF-8.
inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

// The first byte that starts no valid code point.
std::optional<TextPosition> find_invalid_utf8(std::string_view text);

// Throws Error{input} that names `source`, the byte, its offset and its line; `start` says where in
// the source the text begins.
void require_utf8(std::string_view text, std::string_view source, TextPosition start = {});

struct CodePoint {
  char32_t value;
  int bytes;  // 1 to 4
};

// Stands for a byte that is not part of UTF-8; no class of character contains it.
inline constexpr char32_t kInvalidCodePoint = 0xFFFFFFFF;

// The code point at text[pos], pos < text.size(); {kInvalidCodePoint, 1} where there is none.
CodePoint decode_utf8(std::string_view text, size_t pos);

// The length of `text` without a last character that is cut short.
size_t complete_utf8(std::string_view text);

void append_utf8(char32_t code_point, std::string& out);  // a valid code point

// "U+00E9": how messages name a character.
std::string code_point_name(char32_t code_point);

}  // namespace weft
