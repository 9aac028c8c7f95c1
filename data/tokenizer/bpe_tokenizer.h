// Byte-level BPE with a built-in splitting pattern: GPT-2 files and tiktoken rank files.
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "data/tokenizer/bpe.h"
#include "data/tokenizer/splitter.h"
#include "data/tokenizer/token_map.h"
#include "data/tokenizer/tokenizer.h"

namespace weft {

inline constexpr std::string_view kEndOfText = "<|endoftext|>";  // as GPT-2 spells it

struct SpecialToken {
  std::string text;
  TokenId id;
};
using TokenPair = std::pair<TokenId, TokenId>;

// Everything that determines a BPE tokenizer, as read from its files. Invariants, which the
// readers establish: every single byte is a token; no token occurs twice; each merge's two sides
// and their concatenation are tokens; special ids collide with no token.
struct BpeModel {
  std::string kind;  // gpt2, r50k or cl100k
  SplitPattern pattern = SplitPattern::gpt2;
  std::vector<std::string> tokens;  // bytes by id; empty where the id is special or not in use
  // Explicit merges, by rank. Where there are none, the id of a token is the rank of every pair of
  // tokens that makes it, and a piece that is a token is taken whole (tiktoken).
  std::vector<TokenPair> merges;
  std::vector<SpecialToken> specials;
};

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(BpeModel model);

  int64_t vocab_size() const override { return vocab_size_; }
  bool has(TokenId id) const override;
  void encode(std::string_view text, bool specials, std::vector<TokenId>& out) const override;
  void decode(std::span<const TokenId> ids, std::string& out) const override;
  size_t safe_cut(std::string_view text) const override { return weft::safe_cut(pattern_, text); }
  std::optional<TokenId> end_of_text() const override;
  std::string digest() const override { return digest_; }
  std::string description() const override;
  std::string kind() const override { return kind_; }
  std::vector<TokenizerFile> files() const override;

 private:
  class Encoder;

  void find_whole_tokens();
  const SpecialToken* special_of(TokenId id) const;  // null where it is none
  const SpecialToken* find_special(std::string_view text, size_t& pos) const;

  std::string kind_;
  SplitPattern pattern_;
  TokenMap tokens_;  // ordinary tokens
  std::vector<TokenPair> merges_;
  std::vector<SpecialToken> specials_;
  std::array<TokenId, 256> byte_ids_{};
  MergeTable table_;
  std::vector<bool> whole_;  // by id: a piece with this token's bytes is encoded as this one id
  int64_t vocab_size_ = 0;
  std::string digest_;
};

// vocab.json and merges.txt as published for GPT-2 -> model, and back. `source` names the files in
// messages. Throws Error{input}.
BpeModel read_gpt2_files(std::string_view vocab, std::string_view vocab_source,
                         std::string_view merges, std::string_view merges_source);
std::string write_gpt2_vocab(const TokenMap& tokens, std::span<const SpecialToken> specials);
std::string write_gpt2_merges(const TokenMap& tokens, std::span<const TokenPair> merges);

// A tiktoken rank file for `kind` (r50k or cl100k, which fix pattern, specials and token count) ->
// model, and back. Throws Error{input}.
BpeModel read_rank_file(std::string_view kind, std::string_view ranks, std::string_view source);
std::string write_rank_file(const TokenMap& tokens);

// The token bytes of a rank file, by rank: lines of base64, one space, rank; ranks are 0 to
// lines - 1, each once, every single byte is a token. Throws Error{input}.
std::vector<std::string> parse_ranks(std::string_view ranks, std::string_view source);

}  // namespace weft
