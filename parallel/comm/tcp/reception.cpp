#include "parallel/comm/tcp/reception.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/base/error.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

// A rank's hello follows its connection at once; whoever is silent for longer may have to go.
constexpr std::chrono::seconds kAtOnce{1};

bool is_shortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

}  // namespace

std::optional<Guest> Reception::next(Deadline deadline) {
  while (true) {
    if (std::optional<Guest> guest = hear_all()) return guest;
    send_away_the_late();
    if (Clock::now() >= deadline) return std::nullopt;
    if (!let_in()) sleep(deadline);
  }
}

Reception::Heard Reception::hear(Visitor& visitor) {
  while (visitor.got < visitor.bytes.size()) {
    char* const to = visitor.bytes.data() + visitor.got;
    const ssize_t got = recv(visitor.socket.fd(), to, visitor.bytes.size() - visitor.got, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Heard::part;
    if (got <= 0) return Heard::stranger;  // it has gone again
    visitor.got += static_cast<size_t>(got);
    if (!may_be_hello({visitor.bytes.data(), visitor.got})) return Heard::stranger;
  }
  return Heard::whole;
}

std::optional<Guest> Reception::hear_all() {
  for (auto v = visitors_.begin(); v != visitors_.end();) {
    const Heard heard = hear(*v);
    if (heard == Heard::part) {
      ++v;
      continue;
    }
    std::optional<Guest> guest;
    if (heard == Heard::whole) guest = {std::move(v->socket), parse_hello(v->bytes)};
    v = visitors_.erase(v);
    if (guest) return guest;
  }
  return std::nullopt;
}

void Reception::send_away_the_late() {
  const auto now = Clock::now();
  std::erase_if(visitors_, [&](const Visitor& v) { return now - v.since >= kPatience; });
}

// Accepts who waits; whether there is somebody new to hear.
bool Reception::let_in() {
  bool somebody = false;
  while (visitors_.size() < kMost || make_room()) {
    std::optional<Socket> socket = accept_now(listener_);
    if (socket) {
      visitors_.push_back({std::move(*socket), Clock::now()});
      somebody = true;
    } else if (is_shortage(errno)) {
      if (somebody) return true;
      if (visitors_.empty()) {
        fail(ErrorKind::environment,
             "cannot take another connection: {}; raise the limit of open files (ulimit -n)",
             std::strerror(errno));
      }
      visitors_.erase(visitors_.begin());
    } else {
      break;
    }
  }
  return somebody;
}

bool Reception::make_room() {
  if (Clock::now() - visitors_.front().since < kAtOnce) return false;
  visitors_.erase(visitors_.begin());
  return true;
}

// Until somebody says something or knocks, or a second has passed.
void Reception::sleep(Deadline deadline) {
  std::vector<pollfd> polled;
  for (const Visitor& v : visitors_) polled.push_back({v.socket.fd(), POLLIN, 0});
  if (visitors_.size() < kMost) polled.push_back({listener_.fd(), POLLIN, 0});
  poll(polled.data(), polled.size(), poll_milliseconds(deadline));
}

}  // namespace weft
