// Token bytes -> id and id -> token bytes.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "data/tokenizer/tokenizer.h"

namespace weft {

// A hash of short byte strings, for tables that live in memory only.
inline uint64_t hash_bytes(std::string_view bytes) {
  constexpr uint64_t kMix = 0x9E3779B97F4A7C15;
  uint64_t hash = bytes.size() * kMix;
  const char* at = bytes.data();
  size_t left = bytes.size();
  const auto add = [&](size_t count) {
    uint64_t word = 0;
    std::memcpy(&word, at, count);
    hash = (hash ^ word) * kMix;
    hash ^= hash >> 32;
  };
  for (; left > 8; left -= 8, at += 8) add(8);
  if (left == 8) {
    add(8);
  } else if (left > 0) {
    add(left);
  }
  return hash;
}

// The distinct byte strings tokens[id]; an empty string marks an id that is not in use.
class TokenMap {
 public:
  TokenMap() = default;
  explicit TokenMap(const std::vector<std::string>& tokens);

  // -1 where no token has these bytes.
  TokenId find(std::string_view bytes) const { return find(bytes, hash_bytes(bytes)); }
  TokenId find(std::string_view bytes, uint64_t hash) const {
    for (size_t slot = hash & mask_;; slot = (slot + 1) & mask_) {
      const Slot& s = slots_[slot];
      if (s.id < 0) return -1;
      if (s.tag == static_cast<uint32_t>(hash >> 32) && this->bytes(s.id) == bytes) return s.id;
    }
  }
  // Empty where the id is not in use; 0 <= id < size().
  std::string_view bytes(TokenId id) const {
    const auto i = static_cast<size_t>(id);
    return std::string_view(arena_).substr(begins_[i], begins_[i + 1] - begins_[i]);
  }
  int64_t size() const { return static_cast<int64_t>(begins_.size()) - 1; }

 private:
  struct Slot {
    uint32_t tag = 0;
    TokenId id = -1;
  };

  std::string arena_;
  std::vector<uint32_t> begins_ = {0};
  std::vector<Slot> slots_ = {Slot{}};
  size_t mask_ = 0;
};

}  // namespace weft
