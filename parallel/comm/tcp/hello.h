// Hello: how a rank introduces itself on a new connection, and who is on which side of it.
//
// Whoever can reach a port can write to it. What comes before a whole hello is therefore held to
// its first bytes as it arrives, and what a hello says is believed by nobody: its reader asks
// whether it awaits that rank.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace weft {

struct Hello {
  std::array<char, 8> protocol{};  // "weft NN"
  int32_t rank = 0;
  int32_t size = 0;   // ranks of the job
  int64_t split = 0;  // 0 on the connection to rank 0, otherwise the number of the split
};

// Bytes of a hello on the wire: its length, as ahead of every text, and itself.
constexpr size_t kHelloBytes = sizeof(uint64_t) + sizeof(Hello);

// This program's, as a text for send_text.
std::string hello_text(int rank, int size, int64_t split);
// Whether a hello, of whichever version of the protocol, can begin with these bytes.
bool may_be_hello(std::span<const char> bytes);
// `bytes`: kHelloBytes, for which may_be_hello holds.
Hello parse_hello(std::span<const char> bytes);

// Why the sender cannot talk to this program: it speaks another version. Empty if it can.
std::string protocol_difference(const Hello& hello);

}  // namespace weft
