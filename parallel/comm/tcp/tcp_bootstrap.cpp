// The control plane is a star: every rank has a connection to rank 0, which gathers and answers.
// Groups get connections of their own, made by split() between their members.
#include "parallel/comm/tcp/tcp_bootstrap.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/base/error.h"
#include "parallel/comm/color_group.h"
#include "parallel/comm/host_communicator.h"
#include "parallel/comm/tcp/tcp_wire.h"
#include "parallel/comm/wire_communicator.h"

namespace weft {
namespace {

constexpr char kMagic[8] = "weft 01";  // of the protocol's version
constexpr uint64_t kHelloBytes = 4096;

// How a rank introduces itself on a new connection.
struct Hello {
  std::array<char, sizeof kMagic> magic{};
  int32_t rank = 0;
  int32_t size = 0;
  int64_t split = 0;  // 0 on the connection to rank 0, otherwise the number of the split
};

std::string text_of(int rank, int size, int64_t split) {
  Hello hello{.rank = rank, .size = size, .split = split};
  std::memcpy(hello.magic.data(), kMagic, sizeof kMagic);
  return {reinterpret_cast<const char*>(&hello), sizeof hello};
}

// None if a stranger sent it.
std::optional<Hello> hello_of(const std::string& text) {
  Hello hello;
  if (text.size() != sizeof hello) return std::nullopt;
  std::memcpy(static_cast<void*>(&hello), text.data(), sizeof hello);
  if (std::memcmp(hello.magic.data(), kMagic, sizeof kMagic) != 0) return std::nullopt;
  return hello;
}

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

std::vector<std::string> unpack(std::string_view all) {
  std::vector<std::string> texts;
  while (!all.empty()) {
    uint64_t bytes = 0;
    WEFT_CHECK(all.size() >= sizeof bytes, "a packed text ends early");
    std::memcpy(&bytes, all.data(), sizeof bytes);
    all.remove_prefix(sizeof bytes);
    WEFT_CHECK(all.size() >= bytes, "a packed text ends early");
    texts.emplace_back(all.substr(0, bytes));
    all.remove_prefix(bytes);
  }
  return texts;
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

class TcpBootstrap final : public Bootstrap {
 public:
  TcpBootstrap(const Placing& placing, const CommOptions& options)
      : rank_(placing.rank),
        size_(placing.size),
        options_(options),
        control_(static_cast<size_t>(size_)) {
    rank_ == 0 ? gather_ranks(placing.master) : join(placing.master);
    listen_for_groups(placing.master);
    find_neighbours(placing);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_rank() const override { return local_rank_; }
  int local_size() const override { return local_size_; }

  void barrier() override { all_gather({}); }

  std::string broadcast(const std::string& text, int root) override {
    return all_gather(rank_ == root ? text : std::string())[static_cast<size_t>(root)];
  }

  std::vector<std::string> all_gather(const std::string& text) override {
    const Deadline end = deadline();
    if (rank_ != 0) {
      send_text(control_[0], text, end, member(0));
      return unpack(receive_text(control_[0], end, member(0)));
    }
    std::vector<std::string> texts{text};
    for (int r = 1; r < size_; ++r) {
      texts.push_back(receive_text(control_[static_cast<size_t>(r)], end, member(r)));
    }
    const std::string all = pack(texts);
    for (int r = 1; r < size_; ++r)
      send_text(control_[static_cast<size_t>(r)], all, end, member(r));
    return texts;
  }

  std::unique_ptr<Communicator> split(int color, int key, const std::string& axis) override {
    ++splits_;
    const std::vector<int> members = color_group(gather_claims(*this, {color, key}), rank_);
    if (members.size() == 1) return make_self_communicator(axis);
    const auto me = static_cast<int>(std::ranges::find(members, rank_) - members.begin());
    return make_wire_communicator(make_tcp_wire(connect_group(members), members), me, members, axis,
                                  options_);
  }

 private:
  Deadline deadline() const { return std::chrono::steady_clock::now() + options_.deadline; }

  // ---- Rank 0 and the others find each other

  void gather_ranks(const Address& master) {
    const Deadline end = deadline();
    // A name may mean another address on this host than on the others, so all are listened to;
    // only a job that stays on this host is kept from the network.
    const Address here{is_loopback(master.host) ? master.host : "", master.port};
    const Socket listener = listen_on(here);
    for (int here_now = 1; here_now < size_;) {
      std::optional<Socket> socket = accept_before(listener, end);
      if (!socket) {
        fail(ErrorKind::peer, "{} of {} ranks have come to {} within {:g} s; missing: {}", here_now,
             size_, to_string(master), std::chrono::duration<double>(options_.deadline).count(),
             missing_ranks());
      }
      here_now += admit(std::move(*socket));
    }
  }

  // Whether `socket` is a rank's that was awaited. A rank that was not is told why.
  bool admit(Socket socket) {
    const std::optional<Hello> hello = greet(socket);
    if (!hello || hello->split != 0) return false;
    const std::string refusal = refuse(*hello);
    try {
      send_text(socket, refusal, soon(), member(hello->rank));
    } catch (const Error&) {
      return false;  // it has gone again
    }
    if (!refusal.empty()) return false;
    control_[static_cast<size_t>(hello->rank)] = std::move(socket);
    return true;
  }

  // Who is at the other end of a new connection; none if it is a stranger, who gets little time.
  static std::optional<Hello> greet(const Socket& socket) {
    try {
      return hello_of(receive_text(socket, soon(), "a new connection", kHelloBytes));
    } catch (const Error&) {
      return std::nullopt;
    }
  }
  static Deadline soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(5); }

  std::string refuse(const Hello& hello) const {
    if (hello.size != size_) {
      return fmt::format("it is of a job of {} ranks, rank 0 of one of {}", hello.size, size_);
    }
    if (hello.rank < 1 || hello.rank >= size_ || control_[static_cast<size_t>(hello.rank)].open()) {
      return fmt::format("there is a rank {} already; is another job using the port?", hello.rank);
    }
    return {};
  }

  std::string missing_ranks() const {
    std::vector<int> missing;
    for (int r = 1; r < size_; ++r) {
      if (!control_[static_cast<size_t>(r)].open()) missing.push_back(r);
    }
    return fmt::format("{}", fmt::join(missing, ", "));
  }

  void join(const Address& master) {
    const Deadline end = deadline();
    control_[0] = connect_before(master, end, member(0));
    send_text(control_[0], text_of(rank_, size_, 0), end, member(0));
    const std::string refusal = receive_text(control_[0], end, member(0), kHelloBytes);
    if (!refusal.empty()) {
      fail(ErrorKind::environment, "rank 0 at {} does not take rank {}: {}", to_string(master),
           rank_, refusal);
    }
  }

  // ---- Groups

  // The others reach a rank at the address from which it reaches rank 0. Where that is the host's
  // own loopback, as for the ranks beside rank 0, those of other hosts need rank 0's address to
  // them.
  void listen_for_groups(const Address& master) {
    listener_ = listen_on({is_loopback(master.host) ? master.host : "", 0});
    const Address mine{own_host(), local_address(listener_).port};
    for (const std::string& text : all_gather(fmt::format("{} {}", mine.port, mine.host))) {
      const size_t space = text.find(' ');
      addresses_.push_back(
          {text.substr(space + 1), static_cast<uint16_t>(std::stoi(text.substr(0, space)))});
    }
    for (Address& address : addresses_) {
      if (is_loopback(address.host)) address.host = addresses_[0].host;
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
      send_text(sockets[p], text_of(rank_, size_, splits_), end, member(peer));
    }
    for (size_t left = members.size() - me - 1; left > 0;) {
      std::optional<Socket> socket = accept_before(listener_, end);
      if (!socket) {
        fail(ErrorKind::peer,
             "rank {} waits for {} ranks of a group to connect, no answer within {:g} s", rank_,
             left, std::chrono::duration<double>(options_.deadline).count());
      }
      const std::optional<Hello> hello = greet(*socket);
      if (!hello || hello->split != splits_) continue;
      const auto place = std::ranges::find(members, hello->rank) - members.begin();
      sockets[static_cast<size_t>(place)] = std::move(*socket);
      --left;
    }
    return sockets;
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
  CommOptions options_;
  std::vector<Socket> control_;  // of rank 0: to every other rank; of the others: the first
  Socket listener_;
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
