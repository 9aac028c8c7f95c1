#include "data/token_code.h"

#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/base/error.h"

namespace weft {
namespace {

static_assert(std::endian::native == std::endian::little, "token files are little-endian");

constexpr TokenCode kCodes[] = {TokenCode::u8,  TokenCode::i8,  TokenCode::u16, TokenCode::i16,
                                TokenCode::u32, TokenCode::i32, TokenCode::i64};

// Calls f with a value of the code's integer type.
template <typename F>
auto with_type(TokenCode code, F&& f) {
  switch (code) {
    case TokenCode::u8:
      return f(uint8_t{});
    case TokenCode::i8:
      return f(int8_t{});
    case TokenCode::u16:
      return f(uint16_t{});
    case TokenCode::i16:
      return f(int16_t{});
    case TokenCode::u32:
      return f(uint32_t{});
    case TokenCode::i32:
      return f(int32_t{});
    case TokenCode::i64:
      return f(int64_t{});
  }
  fail(ErrorKind::internal, "token code {}", static_cast<int>(code));
}

template <typename T>
T load(std::span<const std::byte> bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

template <typename T>
void store(std::span<std::byte> bytes, size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

template <typename T>
TokenId token_of(T value) {
  if constexpr (std::is_signed_v<T>) {
    if (value < 0) return kNoToken;
  }
  if constexpr (sizeof(T) >= sizeof(TokenId)) {
    if (value > static_cast<T>(std::numeric_limits<TokenId>::max())) return kNoToken;
  }
  return static_cast<TokenId>(value);
}

}  // namespace

int size_of(TokenCode code) {
  return with_type(code, [](auto zero) { return static_cast<int>(sizeof(zero)); });
}

std::string_view name(TokenCode code) {
  constexpr std::string_view kNames[] = {"u8", "i8", "u16", "i16", "u32", "i32", "i64"};
  return kNames[static_cast<size_t>(code)];
}

TokenCode token_code_for(int64_t vocab_size) {
  if (vocab_size <= 1 << 8) return TokenCode::u8;
  return vocab_size <= 1 << 16 ? TokenCode::u16 : TokenCode::u32;
}

std::optional<TokenCode> parse_token_code(std::string_view text) {
  for (TokenCode code : kCodes) {
    if (name(code) == text) return code;
  }
  return std::nullopt;
}

void decode_tokens(TokenCode code, std::span<const std::byte> bytes, std::span<TokenId> out) {
  with_type(code, [&](auto zero) {
    using T = decltype(zero);
    for (size_t i = 0; i < out.size(); ++i) out[i] = token_of(load<T>(bytes, i * sizeof(T)));
  });
}

void encode_tokens(TokenCode code, std::span<const TokenId> ids, std::span<std::byte> bytes) {
  with_type(code, [&](auto zero) {
    using T = decltype(zero);
    for (size_t i = 0; i < ids.size(); ++i) store(bytes, i * sizeof(T), static_cast<T>(ids[i]));
  });
}

uint32_t load_u32(std::span<const std::byte> bytes, size_t at) { return load<uint32_t>(bytes, at); }
uint64_t load_u64(std::span<const std::byte> bytes, size_t at) { return load<uint64_t>(bytes, at); }
void store_u32(std::span<std::byte> bytes, size_t at, uint32_t value) { store(bytes, at, value); }
void store_u64(std::span<std::byte> bytes, size_t at, uint64_t value) { store(bytes, at, value); }

}  // namespace weft
