#include "data/tokenizer/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/base/error.h"

namespace weft {
namespace {

constexpr uint64_t kHighBits = 0x8080808080808080;

// Bytes announced by a leading byte; 0 for a byte that cannot lead.
int announced_bytes(uint8_t lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;  // continuation byte, or an overlong two-byte form
  if (lead < 0xE0) return 2;
  if (lead < 0xF0) return 3;
  return lead < 0xF5 ? 4 : 0;
}

}  // namespace

CodePoint decode_utf8(std::string_view text, size_t pos) {
  constexpr CodePoint kInvalid{kInvalidCodePoint, 1};
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};  // below it: an overlong form
  const auto lead = static_cast<uint8_t>(text[pos]);
  const int bytes = announced_bytes(lead);
  if (bytes == 1) return {lead, 1};
  if (bytes == 0 || text.size() - pos < static_cast<size_t>(bytes)) return kInvalid;
  char32_t value = lead & (0x7F >> bytes);
  for (int i = 1; i < bytes; ++i) {
    const auto next = static_cast<uint8_t>(text[pos + static_cast<size_t>(i)]);
    if ((next & 0xC0) != 0x80) return kInvalid;
    value = value << 6 | (next & 0x3F);
  }
  const bool surrogate = value >= 0xD800 && value < 0xE000;
  if (value < kSmallest[bytes] || surrogate || value > 0x10FFFF) return kInvalid;
  return {value, bytes};
}

TextPosition advance(TextPosition start, std::string_view text) {
  const auto lines = std::count(text.begin(), text.end(), '\n');
  return {start.offset + text.size(), start.line + static_cast<size_t>(lines)};
}

std::optional<TextPosition> find_invalid_utf8(std::string_view text) {
  size_t pos = 0;
  while (pos < text.size()) {
    uint64_t word = 0;
    if (text.size() - pos >= sizeof(word)) {
      std::memcpy(&word, text.data() + pos, sizeof(word));
      if ((word & kHighBits) == 0) {
        pos += sizeof(word);
        continue;
      }
    }
    const CodePoint cp = decode_utf8(text, pos);
    if (cp.value == kInvalidCodePoint) {
      return advance({}, text.substr(0, pos));
    }
    pos += static_cast<size_t>(cp.bytes);
  }
  return std::nullopt;
}

void require_utf8(std::string_view text, std::string_view source, TextPosition start) {
  const auto fault = find_invalid_utf8(text);
  if (!fault) return;
  const TextPosition at = advance(start, text.substr(0, fault->offset));
  fail(ErrorKind::input,
       "{}: not UTF-8: byte 0x{:02x} at offset {} (line {}) starts no character; convert the file, "
       "for example with iconv -t UTF-8",
       source, static_cast<uint8_t>(text[fault->offset]), at.offset, at.line);
}

size_t complete_utf8(std::string_view text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const auto byte = static_cast<uint8_t>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    return static_cast<size_t>(announced_bytes(byte)) > back ? text.size() - back : text.size();
  }
  return text.size();
}

void append_utf8(char32_t code_point, std::string& out) {
  const auto put = [&](char32_t bits) { out.push_back(static_cast<char>(bits)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::string code_point_name(char32_t code_point) {
  return fmt::format("U+{:04X}", static_cast<uint32_t>(code_point));
}

}  // namespace weft
