#include "parallel/comm/tcp/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include "core/base/error.h"

namespace weft {
namespace {

constexpr int kBacklog = 1024;
constexpr std::chrono::milliseconds kRetry{50};
constexpr uint64_t kReadBytes = uint64_t{1} << 20;

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses look_up(const Address& address, bool listen) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (listen ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const char* host = address.host.empty() ? nullptr : address.host.c_str();
  const int code = getaddrinfo(host, std::to_string(address.port).c_str(), &hints, &found);
  if (code != 0) {
    fail(ErrorKind::environment, "cannot look up the host '{}': {}", address.host,
         gai_strerror(code));
  }
  return {found, &freeaddrinfo};
}

void set(const Socket& socket, int level, int option) {
  const int on = 1;
  setsockopt(socket.fd(), level, option, &on, sizeof on);
}

// Ready for connections and for messages: small ones leave at once, and no call blocks.
void prepare(const Socket& socket) {
  set(socket, IPPROTO_TCP, TCP_NODELAY);
  set(socket, SOL_SOCKET, SO_KEEPALIVE);
  fcntl(socket.fd(), F_SETFL, fcntl(socket.fd(), F_GETFL) | O_NONBLOCK);
}

bool past(Deadline deadline) { return std::chrono::steady_clock::now() >= deadline; }

// Waits for `events`; false once the deadline has passed.
bool wait_for(const Socket& socket, int16_t events, Deadline deadline) {
  pollfd one{socket.fd(), events, 0};
  while (poll(&one, 1, poll_milliseconds(deadline)) <= 0) {
    if (past(deadline)) return false;
  }
  return true;
}

// One attempt; 0 or the error's number.
int try_connect(const addrinfo& address, Deadline deadline, Socket& connected) {
  Socket socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.open()) return errno;
  if (connect(socket.fd(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return errno;
    if (!wait_for(socket, POLLOUT, deadline)) return ETIMEDOUT;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return error;
  }
  prepare(socket);
  connected = std::move(socket);
  return 0;
}

[[noreturn]] void lost(const std::string& who, const char* why) {
  fail(ErrorKind::peer, "the connection to {} ended: {}", who, why);
}

// Moves `bytes` bytes by `step`, which is send or recv on a part of them.
template <typename Step>
void move_all(const Socket& socket, size_t bytes, int16_t events, Deadline deadline,
              const std::string& who, const Step& step) {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t moved = step(done);
    if (moved > 0) {
      done += static_cast<size_t>(moved);
    } else if (moved == 0) {
      lost(who, "it has ended, or was killed");
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (!wait_for(socket, events, deadline)) lost(who, "no answer within the deadline");
    } else if (errno != EINTR) {
      lost(who, std::strerror(errno));
    }
  }
}

void send_bytes(const Socket& socket, const void* data, size_t bytes, Deadline deadline,
                const std::string& who) {
  const auto* from = static_cast<const char*>(data);
  move_all(socket, bytes, POLLOUT, deadline, who,
           [&](size_t done) { return send(socket.fd(), from + done, bytes - done, MSG_NOSIGNAL); });
}

void receive_bytes(const Socket& socket, void* data, size_t bytes, Deadline deadline,
                   const std::string& who) {
  auto* to = static_cast<char*>(data);
  move_all(socket, bytes, POLLIN, deadline, who,
           [&](size_t done) { return recv(socket.fd(), to + done, bytes - done, 0); });
}

}  // namespace

Socket::~Socket() {
  if (fd_ >= 0) close(fd_);
}

std::string to_string(const Address& address) {
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", is_v6 ? "[" : "", address.host, is_v6 ? "]" : "", address.port);
}

Socket listen_on(const Address& address) {
  const Addresses found = look_up(address, true);
  int error = 0;
  for (const addrinfo* a = found.get(); a != nullptr; a = a->ai_next) {
    Socket socket(::socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (socket.open()) set(socket, SOL_SOCKET, SO_REUSEADDR);
    if (socket.open() && bind(socket.fd(), a->ai_addr, a->ai_addrlen) == 0 &&
        listen(socket.fd(), kBacklog) == 0) {
      return socket;
    }
    error = errno;
  }
  fail(ErrorKind::environment, "cannot listen on {}: {}; is another job using the port?",
       to_string(address), std::strerror(error));
}

std::optional<Socket> accept_now(const Socket& listener) {
  while (true) {
    Socket socket(accept4(listener.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.open()) {
      prepare(socket);
      return socket;
    }
    // Linux hands errors of a connection that is gone again to accept(): the next one is asked for.
    constexpr std::array kHere{EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM};
    if (std::ranges::find(kHere, errno) != kHere.end()) return std::nullopt;
    WEFT_CHECK(errno != EBADF && errno != EINVAL && errno != ENOTSOCK, "accept: {}",
               std::strerror(errno));
  }
}

Socket connect_before(const Address& address, Deadline deadline, const std::string& who) {
  const Addresses found = look_up(address, false);
  while (true) {
    int error = 0;
    for (const addrinfo* a = found.get(); a != nullptr; a = a->ai_next) {
      Socket socket;
      error = try_connect(*a, deadline, socket);
      if (error == 0) return socket;
    }
    if (past(deadline)) {
      fail(ErrorKind::peer, "cannot reach {} at {}: {}", who, to_string(address),
           std::strerror(error));
    }
    std::this_thread::sleep_for(kRetry);
  }
}

Address local_address(const Socket& socket) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  WEFT_CHECK(getsockname(socket.fd(), address, &size) == 0, "getsockname: {}",
             std::strerror(errno));
  std::array<char, NI_MAXHOST> host{};
  WEFT_CHECK(getnameinfo(address, size, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) == 0,
             "getnameinfo failed");
  const bool is_v6 = storage.ss_family == AF_INET6;
  const uint16_t port = is_v6 ? reinterpret_cast<const sockaddr_in6&>(storage).sin6_port
                              : reinterpret_cast<const sockaddr_in&>(storage).sin_port;
  return {host.data(), ntohs(port)};
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

bool is_address_here(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return false;
  const Addresses address(found, &freeaddrinfo);
  const Socket socket(::socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return socket.open() && bind(socket.fd(), address->ai_addr, address->ai_addrlen) == 0;
}

bool readable_within(const Socket& socket, std::chrono::milliseconds time) {
  return wait_for(socket, POLLIN, std::chrono::steady_clock::now() + time);
}

void send_text(const Socket& socket, const std::string& text, Deadline deadline,
               const std::string& who) {
  const uint64_t bytes = text.size();
  send_bytes(socket, &bytes, sizeof bytes, deadline, who);
  send_bytes(socket, text.data(), text.size(), deadline, who);
}

std::string receive_text(const Socket& socket, Deadline deadline, const std::string& who,
                         uint64_t most) {
  uint64_t bytes = 0;
  receive_bytes(socket, &bytes, sizeof bytes, deadline, who);
  if (bytes > most) lost(who, "it does not speak as a rank of weft does");
  // Memory is taken as the text comes, not as its length says.
  std::string text;
  while (text.size() < bytes) {
    const size_t begin = text.size();
    const size_t piece = std::min<uint64_t>(bytes - begin, kReadBytes);
    text.resize(begin + piece);
    receive_bytes(socket, text.data() + begin, piece, deadline, who);
  }
  return text;
}

int poll_milliseconds(Deadline deadline) {
  constexpr int64_t kMost = 1000;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, kMost));
}

}  // namespace weft
