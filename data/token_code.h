// How a token id is stored in a file: little-endian integers of one width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "data/tokenizer/tokenizer.h"

namespace weft {

enum class TokenCode : uint8_t { u8, i8, u16, i16, u32, i32, i64 };

int size_of(TokenCode code);            // bytes per token
std::string_view name(TokenCode code);  // "u8", "i8", ...

// The narrowest of u8, u16, u32 that holds every id below `vocab_size`.
TokenCode token_code_for(int64_t vocab_size);

// Inverse of name; empty for anything else.
std::optional<TokenCode> parse_token_code(std::string_view name);

// Decodes bytes.size() / size_of(code) == out.size() ids. A value that is no TokenId (negative, or
// 2^31 and more) becomes kNoToken.
inline constexpr TokenId kNoToken = -1;
void decode_tokens(TokenCode code, std::span<const std::byte> bytes, std::span<TokenId> out);

// Encodes ids, each of which `code` can hold; bytes.size() == ids.size() * size_of(code).
void encode_tokens(TokenCode code, std::span<const TokenId> ids, std::span<std::byte> bytes);

// The little-endian integer at bytes[at], which may be unaligned.
uint32_t load_u32(std::span<const std::byte> bytes, size_t at);
uint64_t load_u64(std::span<const std::byte> bytes, size_t at);
void store_u32(std::span<std::byte> bytes, size_t at, uint32_t value);
void store_u64(std::span<std::byte> bytes, size_t at, uint64_t value);

}  // namespace weft
