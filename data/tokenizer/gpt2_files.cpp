// vocab.json and merges.txt as published for GPT-2.
//
// Both spell the 256 bytes as printable characters: '!' to '~', U+00A1 to U+00AC and U+00AE to
// U+00FF stand for themselves, the other 68 bytes, in order, for U+0100 and on. vocab.json is one
// object, token -> id; merges.txt has an optional line "#version: ..." and then one merge a line,
// "LEFT RIGHT", the first of smallest rank.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "data/tokenizer/bpe_tokenizer.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

constexpr TokenId kMostTokens = 1 << 24;

bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

// Byte -> character and back.
struct ByteSpelling {
  std::array<char32_t, 256> character{};
  std::array<int, 0x144> byte{};  // by character; -1 where it spells none

  ByteSpelling() {
    byte.fill(-1);
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const char32_t cp = stands_for_itself(b) ? static_cast<char32_t>(b) : next++;
      character[static_cast<size_t>(b)] = cp;
      byte[cp] = b;
    }
  }
  // The bytes that `spelled` stands for; nothing where a character of it spells no byte.
  std::optional<std::string> read(std::string_view spelled) const {
    std::string bytes;
    for (size_t pos = 0; pos < spelled.size();) {
      const CodePoint cp = decode_utf8(spelled, pos);
      if (cp.value >= byte.size() || byte[cp.value] < 0) return std::nullopt;
      bytes.push_back(static_cast<char>(byte[cp.value]));
      pos += static_cast<size_t>(cp.bytes);
    }
    return bytes;
  }
  std::string write(std::string_view bytes) const {
    std::string spelled;
    for (const char b : bytes) append_utf8(character[static_cast<uint8_t>(b)], spelled);
    return spelled;
  }
};

// Reads {"token": id, ...} without building a document; refuses everything else.
class VocabReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit VocabReader(std::string_view source) : source_(source) {}

  // Tokens by id as spelled in the file; every id from 0 on is there.
  std::vector<std::string> take() {
    for (size_t id = 0; id < tokens_.size(); ++id) {
      if (tokens_[id].empty()) {
        fail(ErrorKind::input,
             "{}: {} tokens, but id {} is missing and {} is there; ids must be 0 to {}", source_,
             count_, id, tokens_.size() - 1, count_ - 1);
      }
    }
    return std::move(tokens_);
  }

  bool key(string_t& name) override {
    key_ = name;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (key_.empty()) refuse("an empty token or a number outside the object");
    if (value >= static_cast<number_unsigned_t>(kMostTokens)) {
      fail(ErrorKind::input, "{}: token \"{}\" has id {}, at most {} is possible", source_, key_,
           value, kMostTokens - 1);
    }
    const auto id = static_cast<size_t>(value);
    if (tokens_.size() <= id) tokens_.resize(id + 1);
    if (!tokens_[id].empty()) {
      fail(ErrorKind::input, "{}: tokens \"{}\" and \"{}\" have the same id {}", source_,
           tokens_[id], key_, id);
    }
    tokens_[id] = key_;
    key_.clear();
    ++count_;
    return true;
  }
  bool start_object(size_t) override {
    if (depth_++ > 0) refuse("an object inside the object");
    return true;
  }
  bool end_object() override { return true; }
  bool null() override { refuse("null"); }
  bool boolean(bool) override { refuse("a boolean"); }
  bool number_integer(number_integer_t) override { refuse("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { refuse("a fraction"); }
  bool string(string_t&) override { refuse("a string"); }
  bool binary(binary_t&) override { refuse("binary data"); }
  bool start_array(size_t) override { refuse("an array"); }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail(ErrorKind::input, "{}: not JSON at byte {}; is the file complete?", source_, position);
  }

 private:
  [[noreturn]] void refuse(const char* what) const {
    fail(ErrorKind::input, "{}: {}{}; it must be one object, token -> id", source_, what,
         key_.empty() ? "" : fmt::format(" as the id of \"{}\"", key_));
  }

  std::string_view source_;
  std::string key_;
  std::vector<std::string> tokens_;
  size_t count_ = 0;
  int depth_ = 0;
};

std::vector<std::string> read_vocab(std::string_view vocab, std::string_view source) {
  VocabReader reader(source);
  nlohmann::json::sax_parse(vocab, &reader);
  return reader.take();
}

// Moves spelled tokens into the model as bytes, the special one aside.
void take_tokens(std::vector<std::string> spelled, std::string_view source, BpeModel& model) {
  const ByteSpelling spelling;
  for (size_t id = 0; id < spelled.size(); ++id) {
    if (spelled[id] == kEndOfText) {
      model.specials.push_back({std::string(kEndOfText), static_cast<TokenId>(id)});
      model.tokens.emplace_back();
      continue;
    }
    auto bytes = spelling.read(spelled[id]);
    if (!bytes) {
      fail(ErrorKind::input,
           "{}: token \"{}\" (id {}) has a character that spells no byte; is this the vocab.json "
           "of a byte-level BPE?",
           source, spelled[id], id);
    }
    model.tokens.push_back(std::move(*bytes));
  }
}

// By bytes; throws where a token occurs twice or a byte has none.
TokenMap index_tokens(const BpeModel& model, std::string_view source) {
  std::vector<std::string_view> sorted(model.tokens.begin(), model.tokens.end());
  std::erase(sorted, std::string_view());
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    fail(ErrorKind::input, "{}: token \"{}\" is there twice", source, ByteSpelling().write(*twice));
  }
  TokenMap map(model.tokens);
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    if (map.find({&c, 1}) >= 0) continue;
    fail(ErrorKind::input, "{}: no token for the byte 0x{:02x}; is the file complete?", source,
         byte);
  }
  return map;
}

class MergesReader {
 public:
  MergesReader(const TokenMap& tokens, std::string_view source, std::string_view vocab_source)
      : tokens_(tokens), source_(source), vocab_source_(vocab_source) {}

  std::vector<TokenPair> read(std::string_view text) {
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      ++line_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line_ == 1 && line.starts_with("#version")) continue;
      merges_.push_back(read_line(line));
    }
    check_unique();
    return std::move(merges_);
  }

 private:
  TokenPair read_line(std::string_view line) const {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos ||
        space == 0 || space + 1 == line.size()) {
      fail(ErrorKind::input, "{}:{}: \"{}\" is not a merge: two tokens with one space between",
           source_, line_, line.substr(0, complete_utf8(line.substr(0, kQuoted))));
    }
    const std::string_view left = line.substr(0, space), right = line.substr(space + 1);
    const TokenPair pair{find(left), find(right)};
    find(std::string(left) + std::string(right));
    return pair;
  }

  TokenId find(std::string_view spelled) const {
    const auto bytes = spelling_.read(spelled);
    const TokenId id = bytes ? tokens_.find(*bytes) : -1;
    if (id < 0) {
      fail(ErrorKind::input, "{}:{}: token \"{}\" is not in {}; the files do not belong together",
           source_, line_, spelled, vocab_source_);
    }
    return id;
  }

  void check_unique() const {
    std::vector<TokenPair> sorted = merges_;
    std::sort(sorted.begin(), sorted.end());
    const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
    if (twice == sorted.end()) return;
    fail(ErrorKind::input, "{}: the merge \"{} {}\" is there twice", source_,
         spelling_.write(tokens_.bytes(twice->first)),
         spelling_.write(tokens_.bytes(twice->second)));
  }

  const TokenMap& tokens_;
  std::string_view source_, vocab_source_;
  ByteSpelling spelling_;
  std::vector<TokenPair> merges_;
  size_t line_ = 0;
};

// Every token must be a byte or the product of a merge; otherwise one file is not whole.
void check_sizes(const BpeModel& model, const TokenMap& map, std::string_view vocab_source,
                 std::string_view merges_source) {
  std::vector<bool> made(model.tokens.size());
  for (const auto& [left, right] : model.merges) {
    const std::string product = std::string(map.bytes(left)) + std::string(map.bytes(right));
    made[static_cast<size_t>(map.find(product))] = true;
  }
  const auto products = std::count(made.begin(), made.end(), true);
  const size_t expected = 256 + static_cast<size_t>(products) + model.specials.size();
  if (expected == model.tokens.size()) return;
  fail(ErrorKind::input,
       "{} has {} tokens, but {} accounts for {}: 256 bytes, {} merges and {} special; a file is "
       "cut short or they do not belong together",
       vocab_source, model.tokens.size(), merges_source, expected, products, model.specials.size());
}

}  // namespace

BpeModel read_gpt2_files(std::string_view vocab, std::string_view vocab_source,
                         std::string_view merges, std::string_view merges_source) {
  BpeModel model;
  model.kind = "gpt2";
  model.pattern = SplitPattern::gpt2;
  require_utf8(vocab, vocab_source);
  require_utf8(merges, merges_source);
  take_tokens(read_vocab(vocab, vocab_source), vocab_source, model);
  const TokenMap map = index_tokens(model, vocab_source);
  model.merges = MergesReader(map, merges_source, vocab_source).read(merges);
  check_sizes(model, map, vocab_source, merges_source);
  return model;
}

std::string write_gpt2_vocab(const TokenMap& tokens, std::span<const SpecialToken> specials) {
  const ByteSpelling spelling;
  const auto spelled = [&](TokenId id) {
    for (const SpecialToken& special : specials) {
      if (special.id == id) return special.text;
    }
    return spelling.write(tokens.bytes(id));
  };
  std::string out = "{";
  for (TokenId id = 0; id < tokens.size(); ++id) {
    out += id == 0 ? "\"" : ", \"";
    for (const char c : spelled(id)) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += fmt::format("\": {}", id);
  }
  return out + "}\n";
}

std::string write_gpt2_merges(const TokenMap& tokens, std::span<const TokenPair> merges) {
  const ByteSpelling spelling;
  std::string out = "#version: 0.2\n";
  for (const auto& [left, right] : merges) {
    out += spelling.write(tokens.bytes(left)) + " " + spelling.write(tokens.bytes(right)) + "\n";
  }
  return out;
}

}  // namespace weft
