// One id per code point of a fixed, sorted vocabulary; no special tokens.
#pragma once

#include <string>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace weft {

class CharTokenizer final : public Tokenizer {
 public:
  // Takes the code points in ascending order, none twice; id = index.
  explicit CharTokenizer(std::vector<char32_t> code_points);

  int64_t vocab_size() const override { return static_cast<int64_t>(code_points_.size()); }
  bool has(TokenId id) const override { return id >= 0 && id < vocab_size(); }
  void encode(std::string_view text, bool specials, std::vector<TokenId>& out) const override;
  void decode(std::span<const TokenId> ids, std::string& out) const override;
  size_t safe_cut(std::string_view text) const override;
  std::optional<TokenId> end_of_text() const override { return std::nullopt; }
  std::string digest() const override;
  std::string description() const override;
  std::string kind() const override { return "char"; }
  std::vector<TokenizerFile> files() const override;  // characters.txt: the vocabulary, as UTF-8

 private:
  TokenId id_of(char32_t code_point) const;  // -1 where the vocabulary lacks it

  std::vector<char32_t> code_points_;
  std::vector<TokenId> ascii_;  // 128 ids, so that the common case is one load
};

}  // namespace weft
