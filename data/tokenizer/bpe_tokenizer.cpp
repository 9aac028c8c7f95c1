#include "data/tokenizer/bpe_tokenizer.h"

#include <algorithm>
#include <bit>

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/tokenizer/files.h"
#include "data/tokenizer/unicode.h"

namespace weft {
namespace {

constexpr std::string_view kSpecialPrefix = "<|";  // every special token begins with it

std::array<TokenId, 256> find_bytes(const TokenMap& tokens) {
  std::array<TokenId, 256> ids{};
  for (size_t byte = 0; byte < ids.size(); ++byte) {
    const char c = static_cast<char>(byte);
    ids[byte] = tokens.find({&c, 1});
    WEFT_CHECK(ids[byte] >= 0, "byte {} is not a token", byte);
  }
  return ids;
}

MergeTable explicit_merges(const TokenMap& tokens, std::span<const TokenPair> merges) {
  MergeTable table(merges.size());
  int32_t rank = 0;
  for (const auto& [left, right] : merges) {
    const TokenId product =
        tokens.find(std::string(tokens.bytes(left)) + std::string(tokens.bytes(right)));
    WEFT_CHECK(product >= 0 && table.insert(left, right, rank, product), "merge {}", rank);
    ++rank;
  }
  return table;
}

// Every way to cut a token in two tokens is a merge whose rank is the token's id.
MergeTable merges_of_ranks(const TokenMap& tokens) {
  struct Pair {
    TokenId left, right, product;
  };
  std::vector<Pair> pairs;
  for (TokenId id = 0; id < tokens.size(); ++id) {
    const std::string_view token = tokens.bytes(id);
    for (size_t cut = 1; cut < token.size(); ++cut) {
      const TokenId left = tokens.find(token.substr(0, cut));
      if (left < 0) continue;
      const TokenId right = tokens.find(token.substr(cut));
      if (right >= 0) pairs.push_back({left, right, id});
    }
  }
  MergeTable table(pairs.size());
  for (const Pair& p : pairs) table.insert(p.left, p.right, p.product, p.product);
  return table;
}

}  // namespace

// One call of encode: its memory, and a cache of the pieces that took more than one token. The
// cache holds places in the text and in the output instead of copies; both stay put until the call
// ends.
class BpeTokenizer::Encoder {
 public:
  Encoder(const BpeTokenizer& tokenizer, size_t text_size, std::vector<TokenId>& out)
      : t_(tokenizer), out_(out), cache_(cache_slots(text_size)) {}

  void encode(std::string_view text) {
    for (size_t pos = 0; pos < text.size();) {
      const size_t end = piece_end(t_.pattern_, text, pos);
      encode_piece(text.substr(pos, end - pos));
      pos = end;
    }
  }

 private:
  struct Cached {
    uint64_t hash = 0;
    std::string_view piece;  // empty: no entry
    size_t begin = 0;        // out_[begin, begin + count)
    size_t count = 0;
  };

  static size_t cache_slots(size_t text_size) {
    return std::bit_ceil(std::clamp<size_t>(text_size / 64, 1, 8192));
  }

  void encode_piece(std::string_view piece) {
    if (piece.size() == 1) {
      out_.push_back(t_.byte_ids_[static_cast<uint8_t>(piece[0])]);
      return;
    }
    const uint64_t hash = hash_bytes(piece);
    const TokenId whole = t_.tokens_.find(piece, hash);
    if (whole >= 0 && t_.whole_[static_cast<size_t>(whole)]) {
      out_.push_back(whole);
      return;
    }
    Cached& cached = cache_[hash & (cache_.size() - 1)];
    if (cached.hash == hash && cached.piece == piece) {
      const size_t size = out_.size();
      out_.resize(size + cached.count);
      std::copy_n(out_.begin() + static_cast<ptrdiff_t>(cached.begin), cached.count,
                  out_.begin() + static_cast<ptrdiff_t>(size));
      return;
    }
    const size_t begin = out_.size();
    merge_piece(piece);
    cached = {hash, piece, begin, out_.size() - begin};
  }

  void merge_piece(std::string_view piece) {
    const size_t begin = out_.size();
    out_.resize(begin + piece.size());
    const std::span<TokenId> ids(out_.data() + begin, piece.size());
    for (size_t i = 0; i < piece.size(); ++i) ids[i] = t_.byte_ids_[static_cast<uint8_t>(piece[i])];
    out_.resize(begin + merge_all(t_.table_, ids, scratch_));
  }

  const BpeTokenizer& t_;
  std::vector<TokenId>& out_;
  std::vector<Cached> cache_;
  MergeScratch scratch_;
};

BpeTokenizer::BpeTokenizer(BpeModel model)
    : kind_(std::move(model.kind)),
      pattern_(model.pattern),
      tokens_(model.tokens),
      merges_(std::move(model.merges)),
      specials_(std::move(model.specials)),
      byte_ids_(find_bytes(tokens_)),
      table_(merges_.empty() ? merges_of_ranks(tokens_) : explicit_merges(tokens_, merges_)),
      whole_(static_cast<size_t>(tokens_.size()), merges_.empty()),
      vocab_size_(tokens_.size()) {
  for (const SpecialToken& special : specials_)
    vocab_size_ = std::max<int64_t>(vocab_size_, special.id + 1);
  if (!merges_.empty()) find_whole_tokens();
  std::string content = fmt::format("bpe\n{}\n{}\n", name(pattern_), unicode_table::kVersion);
  for (const SpecialToken& special : specials_)
    content += fmt::format("{} {}\n", special.text, special.id);
  for (const TokenizerFile& file : files()) content += file.name + "\n" + file.bytes;
  digest_ = to_string(digest_of(content));
}

// With explicit merges a token may be out of reach of its own bytes: ask the merges.
void BpeTokenizer::find_whole_tokens() {
  std::vector<TokenId> ids;
  MergeScratch scratch;
  for (TokenId id = 0; id < tokens_.size(); ++id) {
    ids.clear();
    for (const char c : tokens_.bytes(id)) ids.push_back(byte_ids_[static_cast<uint8_t>(c)]);
    whole_[static_cast<size_t>(id)] = merge_all(table_, ids, scratch) == 1 && ids[0] == id;
  }
}

// The first special token at or after `pos`, which moves to it; null where there is none.
const SpecialToken* BpeTokenizer::find_special(std::string_view text, size_t& pos) const {
  for (; (pos = text.find(kSpecialPrefix, pos)) != std::string_view::npos; ++pos) {
    for (const SpecialToken& special : specials_) {
      if (text.substr(pos, special.text.size()) == special.text) return &special;
    }
  }
  return nullptr;
}

void BpeTokenizer::encode(std::string_view text, bool specials, std::vector<TokenId>& out) const {
  Encoder encoder(*this, text.size(), out);
  size_t begin = 0;
  for (size_t pos = 0; specials;) {
    const SpecialToken* special = find_special(text, pos);
    if (special == nullptr) break;
    encoder.encode(text.substr(begin, pos - begin));
    out.push_back(special->id);
    begin = pos = pos + special->text.size();
  }
  encoder.encode(text.substr(begin));
}

const SpecialToken* BpeTokenizer::special_of(TokenId id) const {
  const auto special =
      std::ranges::find_if(specials_, [&](const SpecialToken& s) { return s.id == id; });
  return special == specials_.end() ? nullptr : &*special;
}

bool BpeTokenizer::has(TokenId id) const {
  if (id >= 0 && id < tokens_.size() && !tokens_.bytes(id).empty()) return true;
  return special_of(id) != nullptr;
}

void BpeTokenizer::decode(std::span<const TokenId> ids, std::string& out) const {
  for (const TokenId id : ids) {
    if (id >= 0 && id < tokens_.size() && !tokens_.bytes(id).empty()) {
      out += tokens_.bytes(id);
      continue;
    }
    const SpecialToken* special = special_of(id);
    if (special == nullptr) {
      fail(ErrorKind::input, "token id {} is not in the {} vocabulary [0, {}){}", id, kind_,
           vocab_size_, id >= 0 && id < vocab_size_ ? ": it leaves this id unused" : "");
    }
    out += special->text;
  }
}

std::optional<TokenId> BpeTokenizer::end_of_text() const {
  for (const SpecialToken& special : specials_) {
    if (special.text == kEndOfText) return special.id;
  }
  return std::nullopt;
}

std::string BpeTokenizer::description() const {
  return fmt::format("{} BPE, {} tokens", kind_, vocab_size_);
}

std::vector<TokenizerFile> BpeTokenizer::files() const {
  if (merges_.empty()) return {{"ranks.tiktoken", write_rank_file(tokens_)}};
  return {{"vocab.json", write_gpt2_vocab(tokens_, specials_)},
          {"merges.txt", write_gpt2_merges(tokens_, merges_)}};
}

}  // namespace weft
