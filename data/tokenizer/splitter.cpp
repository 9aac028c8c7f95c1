#include "data/tokenizer/splitter.h"

#include <array>
#include <cstdint>

#include "core/base/error.h"
#include "data/tokenizer/unicode.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

constexpr char32_t kLongS = 0x17F;  // the one letter outside ASCII that folds to one of sdmtlver

constexpr std::array<CharClass, 128> make_ascii_classes() {
  std::array<CharClass, 128> classes{};
  for (char c = 'a'; c <= 'z'; ++c) {
    classes[static_cast<size_t>(c)] = classes[static_cast<size_t>(c - 32)] = CharClass::letter;
  }
  for (char c = '0'; c <= '9'; ++c) classes[static_cast<size_t>(c)] = CharClass::number;
  for (const char c : {'\t', '\n', '\v', '\f', '\r', ' '}) {
    classes[static_cast<size_t>(c)] = CharClass::space;
  }
  return classes;
}
constexpr std::array<CharClass, 128> kAscii = make_ascii_classes();

struct Char {
  CharClass cls;
  size_t bytes;
};

inline Char char_at(std::string_view text, size_t pos) {
  const auto byte = static_cast<uint8_t>(text[pos]);
  if (byte < 128) return {kAscii[byte], 1};
  const CodePoint cp = decode_utf8(text, pos);
  return {char_class(cp.value), static_cast<size_t>(cp.bytes)};
}

// The end of the run of characters of class `cls` that starts at `pos`, which may be empty.
inline size_t run_end(std::string_view text, size_t pos, CharClass cls) {
  while (pos < text.size()) {
    const Char c = char_at(text, pos);
    if (c.cls != cls) break;
    pos += c.bytes;
  }
  return pos;
}

inline bool is_at(std::string_view text, size_t pos, CharClass cls) {
  return pos < text.size() && char_at(text, pos).cls == cls;
}

inline bool is_newline(char c) { return c == '\n' || c == '\r'; }

// A run of white space at `pos`, with what the patterns ask about it.
struct SpaceRun {
  size_t end;
  size_t last;           // start of its last character
  size_t after_newline;  // behind its last \r or \n; 0 where it has none
};

SpaceRun space_run(std::string_view text, size_t pos) {
  SpaceRun run{pos, pos, 0};
  while (run.end < text.size()) {
    const Char c = char_at(text, run.end);
    if (c.cls != CharClass::space) break;
    run.last = run.end;
    run.end += c.bytes;
    if (is_newline(text[run.last])) run.after_newline = run.end;
  }
  return run;
}

// \s+(?!\S)|\s+ : a run gives its last character away to the word that follows.
size_t space_piece(const SpaceRun& run, size_t pos, size_t size) {
  return run.end == size || run.last == pos ? run.end : run.last;
}

// 's|'t|'re|'ve|'m|'ll|'d at an apostrophe; 0 where there is none.
size_t gpt2_contraction(std::string_view text, size_t pos) {
  const std::string_view after = text.substr(pos + 1);
  if (after.empty()) return 0;
  switch (after[0]) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return pos + 2;
    case 'r':
    case 'v':
      return after.size() > 1 && after[1] == 'e' ? pos + 3 : 0;
    case 'l':
      return after.size() > 1 && after[1] == 'l' ? pos + 3 : 0;
    default:
      return 0;
  }
}

size_t gpt2_piece(std::string_view text, size_t pos) {
  if (text[pos] == '\'') {
    if (const size_t end = gpt2_contraction(text, pos)) return end;
  }
  // ` ?\p{L}+` and its two sisters: the space, if any, and then a run of one class.
  const size_t start = text[pos] == ' ' && pos + 1 < text.size() ? pos + 1 : pos;
  const Char c = char_at(text, start);
  if (c.cls != CharClass::space) return run_end(text, start + c.bytes, c.cls);
  return space_piece(space_run(text, pos), pos, text.size());
}

inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// '(?i:[sdmt]|ll|ve|re) at an apostrophe; 0 where there is none.
size_t cl100k_contraction(std::string_view text, size_t pos) {
  const std::string_view after = text.substr(pos + 1, 2);
  if (after.empty()) return 0;
  const char first = lower(after[0]);
  if (first == 's' || first == 'd' || first == 'm' || first == 't') return pos + 2;
  if (after.size() < 2) return 0;
  if (decode_utf8(after, 0).value == kLongS) return pos + 3;
  const char second = lower(after[1]);
  const bool matches =
      (first == 'l' && second == 'l') || ((first == 'v' || first == 'r') && second == 'e');
  return matches ? pos + 3 : 0;
}

size_t cl100k_numbers(std::string_view text, size_t pos) {
  for (int i = 0; i < 3 && is_at(text, pos, CharClass::number); ++i) {
    pos += char_at(text, pos).bytes;
  }
  return pos;
}

size_t cl100k_punctuation(std::string_view text, size_t pos) {
  pos = run_end(text, pos, CharClass::other);
  while (pos < text.size() && is_newline(text[pos])) ++pos;
  return pos;
}

size_t cl100k_piece(std::string_view text, size_t pos) {
  if (text[pos] == '\'') {
    if (const size_t end = cl100k_contraction(text, pos)) return end;
  }
  const Char c = char_at(text, pos);
  const size_t next = pos + c.bytes;
  if (c.cls == CharClass::letter) return run_end(text, next, CharClass::letter);
  if (c.cls == CharClass::number) return cl100k_numbers(text, pos);
  if (!is_newline(text[pos]) && is_at(text, next, CharClass::letter)) {
    return run_end(text, next, CharClass::letter);
  }
  if (c.cls == CharClass::other) return cl100k_punctuation(text, pos);
  if (text[pos] == ' ' && is_at(text, next, CharClass::other)) {
    return cl100k_punctuation(text, next);
  }
  const SpaceRun run = space_run(text, pos);
  if (run.end != text.size() && run.after_newline != 0) return run.after_newline;
  return space_piece(run, pos, text.size());
}

}  // namespace

std::string_view name(SplitPattern pattern) {
  return pattern == SplitPattern::gpt2 ? "gpt2" : "cl100k";
}

size_t piece_end(SplitPattern pattern, std::string_view text, size_t pos) {
  return pattern == SplitPattern::gpt2 ? gpt2_piece(text, pos) : cl100k_piece(text, pos);
}

namespace {

bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Both patterns end a piece at a '\n' that a character other than white space follows: gpt2 gives
// it a piece of its own (so the cut goes before it), cl100k ends at it the piece that holds it (so
// the cut goes behind).
bool is_line_cut(std::string_view text, size_t at) {
  const size_t next = at + 1;
  if (next == text.size() || text[next] == '<') return false;
  const CodePoint cp = decode_utf8(text, next);
  return cp.value != kInvalidCodePoint && char_class(cp.value) != CharClass::space;
}

// Both end a piece of letters at a space, and put the space before the letters that follow it into
// the next piece. This is what divides lines of any length.
bool is_word_cut(std::string_view text, size_t at) {
  return at + 1 < text.size() && is_ascii_letter(text[at - 1]) && is_ascii_letter(text[at + 1]);
}

}  // namespace

size_t safe_cut(SplitPattern pattern, std::string_view text) {
  for (size_t at = text.find_last_of("\n "); at != std::string_view::npos && at > 0;
       at = text.find_last_of("\n ", at - 1)) {
    if (text[at] == ' ') {
      if (is_word_cut(text, at)) return at;
    } else if (is_line_cut(text, at)) {
      return pattern == SplitPattern::gpt2 ? at : at + 1;
    }
  }
  return 0;
}

}  // namespace weft
