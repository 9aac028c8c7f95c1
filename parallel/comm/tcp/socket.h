// TCP sockets: connections that are made within a deadline, and whole texts over them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace weft {

using Deadline = std::chrono::steady_clock::time_point;

// An open socket; closed with the object.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Socket();

  int fd() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

struct Address {
  std::string host;  // a name or a number
  uint16_t port = 0;
};
std::string to_string(const Address& address);

// Listens on `address`; port 0 takes a free one. An empty host is every address of this machine.
// Throws Error{environment}.
Socket listen_on(const Address& address);
// A connection that somebody has made, without waiting. None if there is none (errno is EAGAIN), or
// no room for one (EMFILE, ENFILE, ENOBUFS, ENOMEM).
std::optional<Socket> accept_now(const Socket& listener);
// Tries again and again, as the other side may not be there yet. Throws Error{peer} with `who` it
// should have reached when the deadline has passed, Error{environment} for a host nobody knows.
Socket connect_before(const Address& address, Deadline deadline, const std::string& who);

// The end of a socket that is on this machine.
Address local_address(const Socket& socket);

// Whether only this host can be reached, or listened to, by this name or number.
bool is_loopback(const std::string& host);
// Whether `host` is a number, not a name, and an address of this host.
bool is_address_here(const std::string& host);

// Whether something, or the end, has come within `time`.
bool readable_within(const Socket& socket, std::chrono::milliseconds time);
// Sends a length and then the bytes. Throws Error{peer}, naming `who`.
void send_text(const Socket& socket, const std::string& text, Deadline deadline,
               const std::string& who);
// The next text, of at most `most` bytes. Throws Error{peer}, naming `who`.
std::string receive_text(const Socket& socket, Deadline deadline, const std::string& who,
                         uint64_t most);

// Milliseconds until `deadline` for poll(): at least 0, at most a second, so that nobody sleeps
// through a clock that jumps.
int poll_milliseconds(Deadline deadline);

}  // namespace weft
