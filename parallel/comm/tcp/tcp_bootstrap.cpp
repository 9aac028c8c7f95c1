// The control plane is a star: every rank has a connection to rank 0, which gathers and answers.
// Groups get connections of their own, made by split() between their members.
#include "parallel/comm/tcp/tcp_bootstrap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "core/base/host_name.h"
#include "parallel/comm/color_group.h"
#include "parallel/comm/host_communicator.h"
#include "parallel/comm/parse_number.h"
#include "parallel/comm/patience.h"
#include "parallel/comm/tcp/reception.h"
#include "parallel/comm/tcp/tcp_wire.h"
#include "parallel/comm/wire_communicator.h"

namespace weft {
namespace {

constexpr uint64_t kRefusalBytes = 4096;
constexpr uint64_t kAddressBytes = 512;
// The largest text of the control plane is a trace of many steps.
constexpr uint64_t kTextBytes = uint64_t{1} << 32;

std::string member(int rank) { return fmt::format("rank {} of the job", rank); }

// Several texts as one, and back.
std::string pack(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    const uint64_t bytes = text.size();
    all.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
    all += text;
  }
  return all;
}

// Throws Error{peer} if `all` is not what pack makes of `count` texts.
std::vector<std::string> unpack(std::string_view all, int count) {
  std::vector<std::string> texts;
  while (!all.empty()) {
    uint64_t bytes = 0;
    if (all.size() < sizeof bytes) break;
    std::memcpy(&bytes, all.data(), sizeof bytes);
    all.remove_prefix(sizeof bytes);
    if (all.size() < bytes) break;
    texts.emplace_back(all.substr(0, bytes));
    all.remove_prefix(bytes);
  }
  if (!all.empty() || texts.size() != static_cast<size_t>(count)) {
    fail(ErrorKind::peer, "{} sends no texts of {} ranks", member(0), count);
  }
  return texts;
}

class TcpBootstrap final : public Bootstrap {
 public:
  TcpBootstrap(const Placing& placing, const CommOptions& options)
      : rank_(placing.rank),
        size_(placing.size),
        chunk_bytes_(options.chunk_bytes),
        patience_(std::make_shared<Patience>(options.deadline)),
        control_(static_cast<size_t>(size_)) {
    const Address master = master_of(placing);
    rank_ == 0 ? gather_ranks(master) : join(master);
    listen_for_groups();
    find_neighbours(placing);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }

  void set_deadline(std::chrono::milliseconds deadline) override {
    patience_->set_deadline(deadline);
  }

  void barrier() override { all_gather({}); }

  std::string broadcast(const std::string& text, int root) override {
    return all_gather(rank_ == root ? text : std::string())[static_cast<size_t>(root)];
  }

  std::vector<std::string> all_gather(const std::string& text) override {
    return gather(text, kTextBytes);
  }

  std::unique_ptr<Communicator> split(int color, int key, const std::string& axis) override {
    ++splits_;
    const std::vector<int> members = color_group(gather_claims(*this, {color, key}), rank_);
    if (members.size() == 1) return make_self_communicator(axis);
    const auto me = static_cast<int>(std::ranges::find(members, rank_) - members.begin());
    return make_wire_communicator(make_tcp_wire(connect_group(members), members), me, members, axis,
                                  chunk_bytes_, patience_);
  }

 private:
  Deadline deadline() const { return std::chrono::steady_clock::now() + patience_->deadline(); }

  // Everybody's text, of at most `most` bytes each.
  std::vector<std::string> gather(const std::string& text, uint64_t most) {
    if (rank_ != 0) {
      send_text(control_[0], text, deadline(), member(0));
      const uint64_t all = (most + sizeof(uint64_t)) * static_cast<uint64_t>(size_);
      return unpack(hear(0, all), size_);
    }
    std::vector<std::string> texts{text};
    for (int r = 1; r < size_; ++r) texts.push_back(hear(r, most));
    const std::string all = pack(texts);
    for (int r = 1; r < size_; ++r) {
      send_text(control_[static_cast<size_t>(r)], all, deadline(), member(r));
    }
    return texts;
  }

  // The next text of a rank on the control plane.
  std::string hear(int rank, uint64_t most) {
    const Socket& socket = control_[static_cast<size_t>(rank)];
    patience_->wait(
        [&](std::chrono::milliseconds time) { return readable_within(socket, time); },
        [&] { return fmt::format("control plane: rank {} waits for rank {}", rank_, rank); });
    return receive_text(socket, deadline(), member(rank), most);
  }

  // ---- Rank 0 and the others find each other

  // Where a launcher says that all ranks are on one host, they meet on its loopback, whatever the
  // host is called.
  static Address master_of(const Placing& placing) {
    const bool one_host = placing.local_size && *placing.local_size == placing.size;
    return one_host && !is_loopback(placing.master.host) ? Address{"127.0.0.1", placing.master.port}
                                                         : placing.master;
  }

  // A name may mean another address on this host than on the others, so all are listened to until
  // the ranks are here; a number of this host is enough by itself.
  static Socket listen_for_ranks(const Address& master) {
    const bool is_enough = is_loopback(master.host) || is_address_here(master.host);
    return listen_on({is_enough ? master.host : "", master.port});
  }

  void gather_ranks(const Address& master) {
    Reception reception(listen_for_ranks(master));
    for (int here_now = 1; here_now < size_;) {
      Guest guest = next_guest(reception, [&] {
        return fmt::format("{} of {} ranks have come to {}; rank 0 waits for {}", here_now, size_,
                           to_string(master), missing_ranks());
      });
      here_now += admit(std::move(guest));
    }
  }

  template <typename Describe>
  Guest next_guest(Reception& reception, const Describe& describe) {
    std::optional<Guest> guest;
    patience_->wait(
        [&](std::chrono::milliseconds time) {
          guest = reception.next(std::chrono::steady_clock::now() + time);
          return guest.has_value();
        },
        describe);
    return std::move(*guest);
  }

  // Whether the guest is a rank that was awaited. One that was not is told why.
  bool admit(Guest guest) {
    const Hello& hello = guest.hello;
    const std::string refusal = refuse(hello);
    try {
      // A connection as young as this takes a line without waiting.
      send_text(guest.socket, refusal, std::chrono::steady_clock::now(), "a new connection");
    } catch (const Error&) {
      return false;  // it has gone again
    }
    if (!refusal.empty()) return false;
    control_[static_cast<size_t>(hello.rank)] = std::move(guest.socket);
    return true;
  }

  std::string refuse(const Hello& hello) const {
    if (const std::string why = protocol_difference(hello); !why.empty()) return why;
    if (hello.split != 0) return "this is no port for groups";
    if (hello.size != size_) {
      return fmt::format("it is of a job of {} ranks, rank 0 of one of {}", hello.size, size_);
    }
    if (hello.rank < 1 || hello.rank >= size_) {
      return fmt::format("there is no rank {} to come", hello.rank);
    }
    if (control_[static_cast<size_t>(hello.rank)].open()) {
      return fmt::format("there is a rank {} already; is another job using the port?", hello.rank);
    }
    return {};
  }

  std::string missing_ranks() const {
    std::vector<int> missing;
    for (int r = 1; r < size_; ++r) {
      if (!control_[static_cast<size_t>(r)].open()) missing.push_back(r);
    }
    return fmt::format("rank{} {}", missing.size() == 1 ? "" : "s", fmt::join(missing, ", "));
  }

  void join(const Address& master) {
    const Deadline end = deadline();
    control_[0] = connect_before(master, end, member(0));
    send_text(control_[0], hello_text(rank_, size_, 0), end, member(0));
    const std::string refusal = receive_text(control_[0], end, member(0), kRefusalBytes);
    if (!refusal.empty()) {
      fail(ErrorKind::environment, "rank 0 at {} does not take rank {}: {}", to_string(master),
           rank_, refusal);
    }
  }

  // ---- Groups

  // The others reach a rank at the address from which it reaches rank 0, the only one it listens
  // on. Where that is the host's own loopback, as for the ranks beside rank 0, those of other hosts
  // need rank 0's address to them.
  void listen_for_groups() {
    std::vector<std::string> hosts = gather(own_host(), kAddressBytes);
    for (std::string& host : hosts) {
      if (is_loopback(host)) host = hosts[0];
    }
    reception_ = Reception(listen_on({hosts[static_cast<size_t>(rank_)], 0}));
    const uint16_t mine = local_address(reception_.listener()).port;
    const std::vector<std::string> ports = gather(std::to_string(mine), kAddressBytes);
    for (int r = 0; r < size_; ++r) {
      const auto rank = static_cast<size_t>(r);
      const std::optional<uint16_t> port = parse_number<uint16_t>(ports[rank]);
      if (!port) fail(ErrorKind::peer, "{} listens on no port, it says", member(r));
      addresses_.push_back({hosts[rank], *port});
    }
  }

  std::string own_host() const {
    if (rank_ != 0) return local_address(control_[0]).host;
    for (int r = 1; r < size_; ++r) {
      const std::string host = local_address(control_[static_cast<size_t>(r)]).host;
      if (!is_loopback(host)) return host;
    }
    return local_address(control_[1]).host;
  }

  // Every member connects to those before it. Nobody is a split ahead of a rank that still accepts,
  // because a split begins with a word from everybody.
  std::vector<Socket> connect_group(const std::vector<int>& members) {
    const Deadline end = deadline();
    std::vector<Socket> sockets(members.size());
    const auto me = static_cast<size_t>(std::ranges::find(members, rank_) - members.begin());
    for (size_t p = 0; p < me; ++p) {
      const int peer = members[p];
      sockets[p] = connect_before(addresses_[static_cast<size_t>(peer)], end, member(peer));
      send_text(sockets[p], hello_text(rank_, size_, splits_), end, member(peer));
    }
    for (size_t left = members.size() - me - 1; left > 0;) {
      Guest guest = next_guest(reception_, [&] {
        return fmt::format("rank {} waits for {} ranks of a group to connect", rank_, left);
      });
      const std::optional<size_t> place = awaited_place(guest.hello, members, me);
      if (!place || sockets[*place].open()) continue;
      sockets[*place] = std::move(guest.socket);
      --left;
    }
    return sockets;
  }

  // Whose place in the group a guest takes; none if it is no member that connects to this rank.
  std::optional<size_t> awaited_place(const Hello& hello, const std::vector<int>& members,
                                      size_t me) const {
    if (!protocol_difference(hello).empty()) return std::nullopt;
    if (hello.size != size_ || hello.split != splits_) return std::nullopt;
    const auto place =
        static_cast<size_t>(std::ranges::find(members, hello.rank) - members.begin());
    if (place <= me || place >= members.size()) return std::nullopt;
    return place;
  }

  void find_neighbours(const Placing& placing) {
    const std::string name = host_name();
    const std::vector<std::string> hosts = all_gather(name);
    local_rank_ = placing.local_rank.value_or(
        static_cast<int>(std::count(hosts.begin(), hosts.begin() + rank_, name)));
    local_size_ = placing.local_size.value_or(static_cast<int>(std::ranges::count(hosts, name)));
  }

  int rank_;
  int size_;
  size_t chunk_bytes_;
  std::shared_ptr<Patience> patience_;
  std::vector<Socket> control_;     // of rank 0: to every other rank; of the others: the first
  Reception reception_;             // of the other members of groups
  std::vector<Address> addresses_;  // of the ranks' listeners
  int local_rank_ = 0;
  int local_size_ = 1;
  int64_t splits_ = 0;
};

}  // namespace

std::unique_ptr<Bootstrap> make_tcp_bootstrap(const Placing& placing, const CommOptions& options) {
  WEFT_CHECK(placing.size > 1, "one rank needs no connections");
  return std::make_unique<TcpBootstrap>(placing, options);
}

}  // namespace weft
