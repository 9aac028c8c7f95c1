#include "parallel/comm/tcp/tcp_wire.h"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"
#include "parallel/comm/patience.h"

namespace weft {
namespace {

constexpr int kLooks = 32;  // looks at the sockets before the thread sleeps on them

// Ahead of every message.
struct Frame {
  WireTag tag{};
  int32_t unused = 0;
  uint64_t bytes = 0;
};

// What was posted and is not complete, in order. Room for what a collective has under way with one
// peer is there from the beginning and kept.
template <typename T>
class Queue {
 public:
  Queue() { items_.reserve(kRoom); }
  bool empty() const { return first_ == items_.size(); }
  T& front() { return items_[first_]; }
  void push(const T& item) {
    if (items_.size() == items_.capacity()) {
      items_.erase(items_.begin(), items_.begin() + static_cast<ptrdiff_t>(first_));
      first_ = 0;
    }
    items_.push_back(item);
  }
  void pop() {
    if (++first_ == items_.size()) clear();
  }
  void clear() {
    items_.clear();
    first_ = 0;
  }

 private:
  static constexpr size_t kRoom = 16;

  std::vector<T> items_;
  size_t first_ = 0;
};

struct Outgoing {
  WireBatch batch;
  Frame frame;
  const std::byte* data;
  size_t done = 0;  // of frame and data together
};

struct Incoming {
  WireBatch batch;
  WireTag tag;
  std::byte* data;
  size_t capacity;
  Frame frame{};
  size_t done = 0;
};

struct Peer {
  Socket socket;
  Queue<Outgoing> outgoing;
  Queue<Incoming> incoming;
};

class TcpWire final : public Wire {
 public:
  TcpWire(std::vector<Socket> sockets, std::vector<int> world_ranks)
      : world_ranks_(std::move(world_ranks)), peers_(sockets.size()), polled_(sockets.size()) {
    for (size_t p = 0; p < sockets.size(); ++p) peers_[p].socket = std::move(sockets[p]);
    for (auto& open : open_) open.resize(sockets.size());
  }

  void send(WireBatch batch, WireTag tag, int peer, const void* data, size_t bytes) override {
    Peer& to = peers_[static_cast<size_t>(peer)];
    to.outgoing.push({batch, {tag, 0, bytes}, static_cast<const std::byte*>(data)});
    ++open(batch, peer);
    push_out(peer);
  }

  void receive(WireBatch batch, WireTag tag, int peer, void* data, size_t bytes) override {
    peers_[static_cast<size_t>(peer)].incoming.push(
        {batch, tag, static_cast<std::byte*>(data), bytes});
    ++open(batch, peer);
  }

  bool wait(WireBatch batch, std::chrono::milliseconds deadline, std::string_view what) override {
    const Deadline end = std::chrono::steady_clock::now() + deadline;
    what_ = what;
    int idle = 0;
    while (!is_complete(batch)) {
      if (drive()) {
        idle = 0;
      } else if (++idle <= kLooks) {
        sched_yield();
      } else {
        if (std::chrono::steady_clock::now() >= end) return false;
        sleep(end);
      }
    }
    return true;
  }

  std::vector<int> missing(WireBatch batch) override {
    std::vector<int> peers;
    for (int p = 0; p < static_cast<int>(peers_.size()); ++p) {
      if (open(batch, p) > 0) peers.push_back(p);
    }
    return peers;
  }

  void cancel() override { peers_.clear(); }
  void release() override { peers_.clear(); }

 private:
  int& open(WireBatch batch, int peer) {
    return open_[static_cast<size_t>(batch)][static_cast<size_t>(peer)];
  }
  bool is_complete(WireBatch batch) const {
    for (const int messages : open_[static_cast<size_t>(batch)]) {
      if (messages > 0) return false;
    }
    return true;
  }

  // Moves what can be moved at once; false if that was nothing.
  bool drive() {
    bool moved = false;
    for (int p = 0; p < static_cast<int>(peers_.size()); ++p) {
      moved |= push_out(p);
      moved |= pull_in(p);
    }
    return moved;
  }

  // Until some socket can go on, or a second or the time has passed.
  void sleep(Deadline end) {
    for (size_t p = 0; p < peers_.size(); ++p) {
      Peer& peer = peers_[p];
      const int events =
          (peer.outgoing.empty() ? 0 : POLLOUT) | (peer.incoming.empty() ? 0 : POLLIN);
      polled_[p] = {events == 0 ? -1 : peer.socket.fd(), static_cast<int16_t>(events), 0};
    }
    poll(polled_.data(), polled_.size(), poll_milliseconds(end));
  }

  bool push_out(int number) {
    Peer& peer = peers_[static_cast<size_t>(number)];
    bool moved = false;
    while (!peer.outgoing.empty()) {
      Outgoing& m = peer.outgoing.front();
      std::array<iovec, 2> parts;
      const auto count = rest(m.frame, const_cast<std::byte*>(m.data), m.done, parts);
      msghdr header{};
      header.msg_iov = parts.data();
      header.msg_iovlen = count;
      const ssize_t sent = sendmsg(peer.socket.fd(), &header, MSG_NOSIGNAL);
      if (sent < 0 && !try_again(number)) return moved;
      if (sent <= 0) continue;
      moved = true;
      m.done += static_cast<size_t>(sent);
      if (m.done < sizeof(Frame) + m.frame.bytes) continue;
      --open(m.batch, number);
      peer.outgoing.pop();
    }
    return moved;
  }

  bool pull_in(int number) {
    Peer& peer = peers_[static_cast<size_t>(number)];
    bool moved = false;
    while (!peer.incoming.empty()) {
      Incoming& m = peer.incoming.front();
      // The data's length is known once its frame is here.
      std::array<iovec, 2> parts;
      auto count = rest(m.frame, m.data, m.done, parts);
      if (m.done < sizeof(Frame)) count = 1;
      msghdr header{};
      header.msg_iov = parts.data();
      header.msg_iovlen = count;
      const ssize_t got = recvmsg(peer.socket.fd(), &header, 0);
      if (got == 0) lost(number, "it has ended, or was killed");
      if (got < 0 && !try_again(number)) return moved;
      if (got < 0) continue;
      moved = true;
      m.done += static_cast<size_t>(got);
      if (m.done < sizeof(Frame)) continue;
      check(m, number);
      if (m.done < sizeof(Frame) + m.frame.bytes) continue;
      --open(m.batch, number);
      peer.incoming.pop();
    }
    return moved;
  }

  // What is left of a frame and its data after `done` bytes of both; the number of parts.
  static size_t rest(Frame& frame, std::byte* data, size_t done, std::array<iovec, 2>& parts) {
    size_t count = 0;
    if (done < sizeof frame) {
      parts[count++] = {reinterpret_cast<std::byte*>(&frame) + done, sizeof frame - done};
    }
    const size_t of_data = done < sizeof frame ? 0 : done - sizeof frame;
    if (of_data < frame.bytes) parts[count++] = {data + of_data, frame.bytes - of_data};
    return count;
  }

  void check(const Incoming& m, int number) const {
    if (m.frame.tag == m.tag && m.frame.bytes <= m.capacity) return;
    fail(ErrorKind::peer,
         "{}: rank {} of the job sends {} bytes (kind {}) where {} (kind {}) were due", what_,
         world_ranks_[static_cast<size_t>(number)], m.frame.bytes, static_cast<int>(m.frame.tag),
         m.capacity, static_cast<int>(m.tag));
  }

  // After a call that failed: true if it was interrupted, false if it would have had to wait.
  bool try_again(int number) const {
    if (errno == EINTR) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    lost(number, std::strerror(errno));
  }

  [[noreturn]] void lost(int number, const char* why) const {
    throw LostPeer(fmt::format("{}: the connection to rank {} of the job ended: {}", what_,
                               world_ranks_[static_cast<size_t>(number)], why));
  }

  std::vector<int> world_ranks_;
  std::vector<Peer> peers_;
  std::vector<pollfd> polled_;
  std::array<std::vector<int>, kWireBatches> open_;  // messages with each peer
  std::string_view what_ = "sending";                // of the last wait
};

}  // namespace

std::unique_ptr<Wire> make_tcp_wire(std::vector<Socket> sockets, std::vector<int> world_ranks) {
  return std::make_unique<TcpWire>(std::move(sockets), std::move(world_ranks));
}

}  // namespace weft
