// One id per byte: id = the byte's value, 256 ids, no special tokens.
#pragma once

#include "data/tokenizer/tokenizer.h"

namespace weft {

class ByteTokenizer final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 256; }
  bool has(TokenId id) const override { return id >= 0 && id < 256; }
  void encode(std::string_view text, bool specials, std::vector<TokenId>& out) const override;
  void decode(std::span<const TokenId> ids, std::string& out) const override;
  size_t safe_cut(std::string_view text) const override { return text.size(); }
  std::optional<TokenId> end_of_text() const override { return std::nullopt; }
  std::string digest() const override;
  std::string description() const override { return "bytes, 256 tokens"; }
  std::string kind() const override { return "byte"; }
  std::vector<TokenizerFile> files() const override { return {}; }
};

}  // namespace weft
