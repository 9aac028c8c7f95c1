#include "parallel/comm/tcp/hello.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>

namespace weft {
namespace {

constexpr std::array<char, 8> kProtocol{'w', 'e', 'f', 't', ' ', '0', '2', '\0'};
constexpr size_t kNameBytes = 5;  // of the protocol's name, ahead of its version

// What every hello begins with: its length and the protocol's name.
constexpr size_t kPrefixBytes = sizeof(uint64_t) + kNameBytes;

std::array<char, kPrefixBytes> prefix() {
  std::array<char, kPrefixBytes> bytes{};
  const uint64_t length = sizeof(Hello);
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + sizeof length, kProtocol.data(), kNameBytes);
  return bytes;
}

std::string_view version_of(const std::array<char, 8>& protocol) {
  return {protocol.data() + kNameBytes, 2};
}

bool is_digit(char c) { return '0' <= c && c <= '9'; }

}  // namespace

std::string hello_text(int rank, int size, int64_t split) {
  const Hello hello{kProtocol, rank, size, split};
  return {reinterpret_cast<const char*>(&hello), sizeof hello};
}

bool may_be_hello(std::span<const char> bytes) {
  const std::array<char, kPrefixBytes> expected = prefix();
  const size_t both = std::min(bytes.size(), expected.size());
  return std::memcmp(bytes.data(), expected.data(), both) == 0;
}

Hello parse_hello(std::span<const char> bytes) {
  Hello hello;
  std::memcpy(static_cast<void*>(&hello), bytes.data() + sizeof(uint64_t), sizeof hello);
  return hello;
}

std::string protocol_difference(const Hello& hello) {
  if (hello.protocol == kProtocol) return {};
  std::string theirs(version_of(hello.protocol));
  if (!std::ranges::all_of(theirs, is_digit)) theirs = "unknown";
  return fmt::format(
      "it speaks version {} of the protocol, this rank {}; give every host the same "
      "weft",
      theirs, version_of(kProtocol));
}

}  // namespace weft
