// Reception: everybody who connects to a listening socket, until they have said who they are.
//
// All connections are heard at once, each with a few seconds of its own, so that one that says
// nothing, or a byte a second, costs the others no time. One whose bytes are no hello is closed
// at the first that differs. What is open at once is bounded; when a port is flooded, those that
// have been silent longest make room.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <vector>

#include "parallel/comm/tcp/hello.h"
#include "parallel/comm/tcp/socket.h"

namespace weft {

// Somebody who has sent a whole hello, and nothing else that was read.
struct Guest {
  Socket socket;
  Hello hello;
};

class Reception {
 public:
  Reception() = default;
  explicit Reception(Socket listener) : listener_(std::move(listener)) {}

  const Socket& listener() const { return listener_; }
  // The next guest, or none once the deadline has passed. Throws Error{environment} when this
  // process may open no further file.
  std::optional<Guest> next(Deadline deadline);

  // How long a connection may take for its hello, and how many are heard at once.
  static constexpr std::chrono::seconds kPatience{10};
  static constexpr size_t kMost = 256;

 private:
  struct Visitor {
    Socket socket;
    std::chrono::steady_clock::time_point since;
    size_t got = 0;
    std::array<char, kHelloBytes> bytes{};
  };
  enum class Heard { part, whole, stranger };

  static Heard hear(Visitor& visitor);
  std::optional<Guest> hear_all();
  void send_away_the_late();
  bool let_in();
  bool make_room();
  void sleep(Deadline deadline);

  Socket listener_;
  std::vector<Visitor> visitors_;  // in the order in which they came
};

}  // namespace weft
