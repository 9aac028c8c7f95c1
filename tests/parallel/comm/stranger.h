// Stranger: somebody who connects to a port of a job on this host and is no rank of it.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>
#include <vector>

#include "parallel/comm/tcp/socket.h"

namespace weft::testing {

class Stranger {
 public:
  // Connects, waiting for the port to be listened to.
  explicit Stranger(uint16_t port)
      : socket_(connect_before({"127.0.0.1", port},
                               std::chrono::steady_clock::now() + std::chrono::seconds(30),
                               "the port under test")) {}

  // Sends what the other side still takes.
  void say(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(socket_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
  }

  // The next `most` bytes, fewer if the other side closes or is silent for half a minute.
  std::string hear(size_t most) {
    std::string heard;
    char c = 0;
    pollfd readable{socket_.fd(), POLLIN, 0};
    while (heard.size() < most && poll(&readable, 1, 30'000) == 1) {
      if (recv(socket_.fd(), &c, 1, 0) != 1) break;
      heard += c;
    }
    return heard;
  }

  // Says nothing more, but still listens.
  void end() { shutdown(socket_.fd(), SHUT_WR); }

 private:
  Socket socket_;
};

// A length as it goes ahead of a text.
inline std::string length_bytes(uint64_t length) {
  return {reinterpret_cast<const char*>(&length), sizeof length};
}
inline std::string with_length(const std::string& text) { return length_bytes(text.size()) + text; }

// A port of loopback that nobody listens on now.
inline uint16_t free_port() {
  const Socket socket = listen_on({"127.0.0.1", 0});
  return local_address(socket).port;
}

// The addresses that this process listens on.
inline std::vector<Address> listened_addresses() {
  std::vector<Address> addresses;
  for (int fd = 0; fd < 4096; ++fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) continue;
    Socket borrowed(dup(fd));
    addresses.push_back(local_address(borrowed));
  }
  return addresses;
}

}  // namespace weft::testing
