#include "data/tokenizer/lines.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "data/tokenizer/json_line.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

constexpr size_t kReadBytes = size_t{1} << 16;
constexpr size_t kLongestWord = 32;  // bytes; no id is longer

void append_number(int64_t number, std::string& out) {
  char digits[24];
  const auto [end, error] = std::to_chars(digits, digits + sizeof(digits), number);
  out.append(digits, end);
}

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

TokenId parse_id(std::string_view word, int64_t vocab_size, const std::string& source,
                 TextPosition at) {
  TokenId id = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), id);
  if (error != std::errc() || end != word.data() + word.size() || id < 0 || id >= vocab_size) {
    fail(ErrorKind::input,
         "{}: \"{}\" before byte offset {} (line {}) is not an id of the vocabulary [0, {})",
         source, word.substr(0, kLongestWord), at.offset, at.line, vocab_size);
  }
  return id;
}

// Calls f(line, where) for each line; a byte order mark before the first is none of it.
template <typename F>
void for_each_line(TextSource source, F f) {
  size_t number = 0;
  for (std::string line; std::getline(source.in, line);) {
    const std::string where = fmt::format("{}:{}", source.name, ++number);
    std::string_view text = line;
    if (number == 1 && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
    if (const auto fault = find_invalid_utf8(text)) {
      fail(ErrorKind::input, "{}: not UTF-8 at byte {} of the line", where, fault->offset + 1);
    }
    f(text, where);
  }
  if (source.in.bad()) fail(ErrorKind::io, "{}: reading failed", source.name);
}

}  // namespace

void tokenize_text(const Tokenizer& tokenizer, TextSource source, bool specials,
                   const ByteSink& sink) {
  std::string out;
  bool first = true;
  const auto print = [&](std::span<const TokenId> ids, size_t /*text_bytes*/) {
    out.clear();
    for (const TokenId id : ids) {
      if (!first) out += ' ';
      first = false;
      append_number(id, out);
    }
    sink(out);
  };
  encode_parts(tokenizer, std::move(source), specials, print);
  sink("\n");
}

void detokenize_text(const Tokenizer& tokenizer, TextSource source, const ByteSink& sink) {
  std::string buffer(kReadBytes, '\0'), word, out;
  TextPosition at;
  const auto finish_word = [&] {
    if (word.empty()) return;
    const TokenId id = parse_id(word, tokenizer.vocab_size(), source.name, at);
    tokenizer.decode({&id, 1}, out);
    word.clear();
  };
  while (source.in) {
    source.in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    for (const char c : std::string_view(buffer).substr(0, source.in.gcount())) {
      if (is_blank(c)) {
        finish_word();
      } else if (word.size() <= kLongestWord) {  // a longer one fails all the same
        word += c;
      }
      at = {at.offset + 1, at.line + (c == '\n' ? 1 : 0)};
    }
    sink(out);
    out.clear();
  }
  if (source.in.bad()) fail(ErrorKind::io, "{}: reading failed", source.name);
  finish_word();
  sink(out);
}

void tokenize_jsonl(const Tokenizer& tokenizer, TextSource source, bool specials,
                    const ByteSink& sink) {
  std::vector<TokenId> ids;
  std::string out;
  for_each_line(std::move(source), [&](std::string_view line, const std::string& where) {
    const JsonText text = find_json_text(line, "text", where);
    if (text.state == JsonText::State::missing || text.state == JsonText::State::other) {
      fail(ErrorKind::input, "{}: no string \"text\" in the object", where);
    }
    ids.clear();
    encode_naming(tokenizer, text.text, specials, where, ids);
    out = "{\"ids\":[";
    for (const TokenId id : ids) {
      append_number(id, out);
      out += ',';
    }
    if (!ids.empty()) out.pop_back();
    out += "]}\n";
    sink(out);
  });
}

void detokenize_jsonl(const Tokenizer& tokenizer, TextSource source, const ByteSink& sink) {
  std::vector<TokenId> ids;
  for_each_line(std::move(source), [&](std::string_view line, const std::string& where) {
    find_json_ids(line, "ids", where, tokenizer.vocab_size(), ids);
    std::string text;
    tokenizer.decode(ids, text);
    if (const auto fault = find_invalid_utf8(text)) {
      fail(ErrorKind::input,
           "{}: the ids end or begin inside a character (byte {} of their text is not UTF-8), "
           "which JSON cannot hold; give the ids without --jsonl",
           where, fault->offset);
    }
    sink(nlohmann::json{{"text", text}}.dump() + "\n");
  });
}

}  // namespace weft
