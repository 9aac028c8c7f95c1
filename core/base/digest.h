// Digests of bytes: XXH3-128, seed 0 (docs/checkpoint_format.md, section 4).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace weft {

// Finds accidental damage; no protection against intent.
struct Digest {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const Digest&) const = default;
};

inline constexpr int64_t kDigestDigits = 32;

std::string to_string(const Digest&);                   // 32 hex digits
bool parse_digest(std::string_view text, Digest& out);  // exactly 32 lower-case hex digits

Digest digest_of(std::span<const std::byte> bytes);
Digest digest_of(std::string_view text);

// The digest of bytes that come in pieces.
class DigestStream {
 public:
  DigestStream();
  ~DigestStream();
  DigestStream(DigestStream&&) noexcept;
  DigestStream& operator=(DigestStream&&) noexcept;

  void add(std::span<const std::byte> bytes);
  void add(std::string_view bytes);
  Digest finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace weft
