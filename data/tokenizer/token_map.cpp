#include "data/tokenizer/token_map.h"

#include <bit>

#include "core/base/error.h"

namespace weft {

TokenMap::TokenMap(const std::vector<std::string>& tokens) {
  const size_t slots = std::bit_ceil(2 * (tokens.size() + 1));
  slots_.assign(slots, Slot{});
  mask_ = slots - 1;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string& token = tokens[id];
    arena_ += token;
    begins_.push_back(static_cast<uint32_t>(arena_.size()));
    if (token.empty()) continue;
    const uint64_t hash = hash_bytes(token);
    WEFT_CHECK(find(token, hash) < 0, "token {} is there twice", id);
    size_t slot = hash & mask_;
    while (slots_[slot].id >= 0) slot = (slot + 1) & mask_;
    slots_[slot] = {static_cast<uint32_t>(hash >> 32), static_cast<TokenId>(id)};
  }
}

}  // namespace weft
