// tiktoken rank files: one token a line, base64 of its bytes, a space, its rank, which is its id.
// What else belongs to an encoding (pattern, special tokens, how many ranks) is not in the file but
// in the table below.
#include <algorithm>
#include <charconv>

#include "core/base/error.h"
#include "data/tokenizer/bpe_tokenizer.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

struct Encoding {
  std::string_view kind;
  SplitPattern pattern;
  size_t ranks;
  std::vector<SpecialToken> specials;
};

Encoding encoding_of(std::string_view kind) {
  if (kind == "r50k") return {kind, SplitPattern::gpt2, 50256, {{"<|endoftext|>", 50256}}};
  WEFT_CHECK(kind == "cl100k", "no encoding {}", kind);
  return {kind,
          SplitPattern::cl100k,
          100256,
          {{"<|endoftext|>", 100257},
           {"<|fim_prefix|>", 100258},
           {"<|fim_middle|>", 100259},
           {"<|fim_suffix|>", 100260},
           {"<|endofprompt|>", 100276}}};
}

constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Strict: padded to four characters, no stray bits. Nothing where it is not base64.
std::optional<std::string> decode_base64(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) return std::nullopt;
  size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  std::string bytes;
  uint32_t bits = 0;
  int filled = 0;
  for (const char c : text.substr(0, text.size() - padding)) {
    const size_t value = kBase64.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    filled += 6;
    if (filled < 8) continue;
    filled -= 8;
    bytes.push_back(static_cast<char>(bits >> filled & 0xFF));
    bits &= (1U << filled) - 1;
  }
  if (bits != 0) return std::nullopt;
  return bytes;
}

std::string encode_base64(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const std::string_view group = bytes.substr(i, 3);
    uint32_t bits = 0;
    for (size_t b = 0; b < 3; ++b) {
      bits = bits << 8 | (b < group.size() ? static_cast<uint8_t>(group[b]) : 0);
    }
    for (size_t c = 0; c < 4; ++c) {
      text += c <= group.size() ? kBase64[bits >> (18 - 6 * c) & 63] : '=';
    }
  }
  return text;
}

struct RankLine {
  std::string token;
  size_t rank;
};

RankLine parse_line(std::string_view line, std::string_view source, size_t number) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos) {
    fail(ErrorKind::input, "{}:{}: not 'base64 rank'; is the file complete?", source, number);
  }
  auto token = decode_base64(line.substr(0, space));
  if (!token) {
    fail(ErrorKind::input, "{}:{}: \"{}\" is not base64", source, number,
         line.substr(0, std::min(space, kQuoted)));
  }
  const std::string_view digits = line.substr(space + 1);
  size_t rank = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rank);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    fail(ErrorKind::input, "{}:{}: \"{}\" is not a rank", source, number,
         digits.substr(0, kQuoted));
  }
  return {std::move(*token), rank};
}

void check_tokens(const std::vector<std::string>& tokens, std::string_view source) {
  std::vector<std::string_view> sorted(tokens.begin(), tokens.end());
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    fail(ErrorKind::input, "{}: token {} is there twice", source, encode_base64(*twice));
  }
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    if (std::binary_search(sorted.begin(), sorted.end(), one)) continue;
    fail(ErrorKind::input, "{}: no token for the byte 0x{:02x}; is the file complete?", source,
         byte);
  }
}

}  // namespace

std::vector<std::string> parse_ranks(std::string_view ranks, std::string_view source) {
  const auto newlines = std::count(ranks.begin(), ranks.end(), '\n');
  const size_t lines = static_cast<size_t>(newlines) + (ranks.ends_with('\n') ? 0 : 1);
  std::vector<std::string> tokens(lines);
  for (size_t number = 1; number <= lines; ++number) {
    const size_t end = std::min(ranks.find('\n'), ranks.size());
    std::string_view line = ranks.substr(0, end);
    ranks.remove_prefix(std::min(end + 1, ranks.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    RankLine parsed = parse_line(line, source, number);
    if (parsed.rank >= lines) {
      fail(ErrorKind::input, "{}:{}: rank {} in a file of {} lines; is the file complete?", source,
           number, parsed.rank, lines);
    }
    if (!tokens[parsed.rank].empty()) {
      fail(ErrorKind::input, "{}:{}: rank {} is there twice", source, number, parsed.rank);
    }
    tokens[parsed.rank] = std::move(parsed.token);
  }
  check_tokens(tokens, source);
  return tokens;
}

BpeModel read_rank_file(std::string_view kind, std::string_view ranks, std::string_view source) {
  Encoding encoding = encoding_of(kind);
  BpeModel model;
  model.kind = kind;
  model.pattern = encoding.pattern;
  model.tokens = parse_ranks(ranks, source);
  model.specials = std::move(encoding.specials);
  if (model.tokens.size() != encoding.ranks) {
    fail(ErrorKind::input, "{}: {} ranks, {} has {}; is it the right file, and complete?", source,
         model.tokens.size(), kind, encoding.ranks);
  }
  return model;
}

std::string write_rank_file(const TokenMap& tokens) {
  std::string out;
  for (TokenId id = 0; id < tokens.size(); ++id) {
    out += fmt::format("{} {}\n", encode_base64(tokens.bytes(id)), id);
  }
  return out;
}

}  // namespace weft
