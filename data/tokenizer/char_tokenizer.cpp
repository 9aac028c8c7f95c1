#include "data/tokenizer/char_tokenizer.h"

#include <algorithm>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/tokenizer/files.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

constexpr char32_t kCodePoints = 0x110000;

[[noreturn]] void fail_unknown(std::string_view text, size_t pos, CodePoint cp, size_t known) {
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(pos), '\n');
  if (cp.value == kInvalidCodePoint) {
    fail(ErrorKind::input, "byte offset {} (line {}) of the text is not UTF-8", pos, line);
  }
  fail(ErrorKind::input,
       "character {} at byte offset {} (line {}) is not among the {} characters of the "
       "vocabulary; take it out of the text or build the vocabulary from a text that has it",
       code_point_name(cp.value), pos, line, known);
}

}  // namespace

CharTokenizer::CharTokenizer(std::vector<char32_t> code_points)
    : code_points_(std::move(code_points)), ascii_(128, -1) {
  for (size_t i = 0; i < code_points_.size(); ++i) {
    WEFT_CHECK(i == 0 || code_points_[i - 1] < code_points_[i], "code point {} out of order", i);
    if (code_points_[i] < 128) ascii_[code_points_[i]] = static_cast<TokenId>(i);
  }
}

TokenId CharTokenizer::id_of(char32_t code_point) const {
  if (code_point < 128) return ascii_[code_point];
  const auto at = std::lower_bound(code_points_.begin(), code_points_.end(), code_point);
  if (at == code_points_.end() || *at != code_point) return -1;
  return static_cast<TokenId>(at - code_points_.begin());
}

void CharTokenizer::encode(std::string_view text, bool /*specials*/,
                           std::vector<TokenId>& out) const {
  for (size_t pos = 0; pos < text.size();) {
    const CodePoint cp = decode_utf8(text, pos);
    const TokenId id = id_of(cp.value);
    if (id < 0) fail_unknown(text, pos, cp, code_points_.size());
    out.push_back(id);
    pos += static_cast<size_t>(cp.bytes);
  }
}

void CharTokenizer::decode(std::span<const TokenId> ids, std::string& out) const {
  for (const TokenId id : ids) {
    if (id < 0 || id >= vocab_size()) {
      fail(ErrorKind::input, "token id {} is outside the vocabulary [0, {})", id, vocab_size());
    }
    append_utf8(code_points_[static_cast<size_t>(id)], out);
  }
}

size_t CharTokenizer::safe_cut(std::string_view text) const { return complete_utf8(text); }

std::string CharTokenizer::digest() const {
  return to_string(digest_of("char\n" + files().front().bytes));
}

std::string CharTokenizer::description() const {
  return fmt::format("characters, {} tokens", vocab_size());
}

std::vector<TokenizerFile> CharTokenizer::files() const {
  std::string characters;
  for (const char32_t cp : code_points_) append_utf8(cp, characters);
  return {{"characters.txt", characters}};
}

std::unique_ptr<Tokenizer> char_tokenizer_from_text(std::string_view text) {
  require_utf8(text, "text of the character vocabulary");
  if (text.empty()) fail(ErrorKind::input, "an empty text gives no character vocabulary");
  std::vector<bool> seen(kCodePoints);
  for (size_t pos = 0; pos < text.size();) {
    const CodePoint cp = decode_utf8(text, pos);
    seen[cp.value] = true;
    pos += static_cast<size_t>(cp.bytes);
  }
  std::vector<char32_t> code_points;
  for (char32_t cp = 0; cp < kCodePoints; ++cp) {
    if (seen[cp]) code_points.push_back(cp);
  }
  return std::make_unique<CharTokenizer>(std::move(code_points));
}

}  // namespace weft
