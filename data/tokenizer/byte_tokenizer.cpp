#include "data/tokenizer/byte_tokenizer.h"

#include "core/base/digest.h"
#include "core/base/error.h"
#include "data/tokenizer/files.h"

namespace weft {

void ByteTokenizer::encode(std::string_view text, bool /*specials*/,
                           std::vector<TokenId>& out) const {
  const size_t begin = out.size();
  out.resize(begin + text.size());
  for (size_t i = 0; i < text.size(); ++i) out[begin + i] = static_cast<uint8_t>(text[i]);
}

void ByteTokenizer::decode(std::span<const TokenId> ids, std::string& out) const {
  for (const TokenId id : ids) {
    if (id < 0 || id > 255) {
      fail(ErrorKind::input, "token id {} is outside the byte vocabulary [0, 256)", id);
    }
    out.push_back(static_cast<char>(id));
  }
}

std::string ByteTokenizer::digest() const { return to_string(digest_of("byte")); }

}  // namespace weft
