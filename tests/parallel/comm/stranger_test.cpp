// Jobs over TCP whose ports strangers find: whatever they send, the job of the ranks goes on, and
// who takes a rank's place and cannot keep it ends the job with an error of a peer.
#include "tests/parallel/comm/stranger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>

#include <deque>
#include <functional>
#include <latch>
#include <random>
#include <thread>

#include "core/base/error.h"
#include "core/device/cpu/cpu_device.h"
#include "parallel/comm/tcp/hello.h"
#include "parallel/comm/tcp/tcp_bootstrap.h"

namespace weft {
namespace {

using testing::free_port;
using ::testing::HasSubstr;
using testing::length_bytes;
using testing::Stranger;
using testing::with_length;

CommOptions patient() {
  CommOptions options;
  options.deadline = std::chrono::seconds(60);
  return options;
}

std::string hello(int rank, int size, int64_t split) {
  return with_length(hello_text(rank, size, split));
}

// What a stranger says at a port of a job of `size` ranks where hellos of `split` are awaited.
using Sayings = std::function<std::vector<std::string>(int size, int64_t split)>;

std::vector<std::string> garbage(int, int64_t) {
  return {std::string(3, '\0'),
          std::string(5000, 'x'),
          "GET / HTTP/1.1\r\nHost: node0\r\n\r\n",
          length_bytes(0),
          length_bytes(23),
          length_bytes(uint64_t{1} << 32),
          length_bytes(UINT64_MAX),
          length_bytes(uint64_t{1} << 63),
          length_bytes(24) + "waft 02" + std::string(17, '\0'),
          with_length("weft 01" + std::string(17, '\0')),
          with_length("weft 99" + std::string(17, '\xff'))};
}

std::vector<std::string> wrong_places(int size, int64_t split) {
  std::vector<std::string> all;
  for (const int rank : {-1, 0, size, 999, INT32_MIN, INT32_MAX}) {
    all.push_back(hello(rank, size, split));
  }
  for (const int other : {-1, 0, 1, size + 1, 999, INT32_MAX}) {
    all.push_back(hello(1, other, split));
  }
  for (const int64_t other : {int64_t{-1}, split + 1, INT64_MAX}) {
    all.push_back(hello(1, size, other));
  }
  return all;
}

std::vector<std::string> parts_of_a_hello(int size, int64_t split) {
  std::vector<std::string> all;
  const std::string whole = hello(1, size, split);
  for (size_t bytes = 1; bytes < whole.size(); ++bytes) all.push_back(whole.substr(0, bytes));
  return all;
}

// Three times as many as the deadline had room for when each cost five seconds.
std::vector<std::string> silence(int, int64_t) { return std::vector<std::string>(36); }
std::vector<std::string> a_crowd(int, int64_t) { return std::vector<std::string>(200); }

std::vector<std::string> noise(int size, int64_t split) {
  std::mt19937 random(20240607);
  const auto below = [&](uint32_t n) { return random() % n; };
  std::vector<std::string> all;
  for (int i = 0; i < 300; ++i) {
    std::string text = hello(static_cast<int>(below(4)), size + 1, split);
    for (uint32_t changes = 1 + below(3); changes > 0; --changes) {
      text[below(static_cast<uint32_t>(text.size()))] = static_cast<char>(random());
    }
    if (below(4) == 0) text.resize(below(static_cast<uint32_t>(text.size())));
    if (below(4) == 0) text += std::string(below(100), static_cast<char>(random()));
    all.push_back(text);
  }
  return all;
}

// Adds up 1 + 2 + ... over all ranks, and over those with ranks of the same remainder by two.
void use(Bootstrap& bootstrap) {
  CpuStream stream(1, false);
  const auto sum = [&](int color, const std::string& axis) {
    const auto comm = bootstrap.split(color, bootstrap.rank(), axis);
    int64_t value = bootstrap.rank() + 1;
    comm->all_reduce(Tensor(&value, Shape{1}, DType::i64), ReduceOp::sum, stream);
    return value;
  };
  const int64_t n = bootstrap.size();
  EXPECT_EQ(sum(0, "world"), n * (n + 1) / 2);
  const bool odd = bootstrap.rank() % 2 == 1;
  const int64_t pairs = odd ? n / 2 : (n + 1) / 2;
  EXPECT_EQ(sum(odd ? 1 : 0, "half"), odd ? pairs * (pairs + 1) : pairs * pairs);
}

// A job of threads that meet over TCP. `at_master` runs when rank 0 is there alone, `at_groups`
// when all ranks are and none has split yet.
void run_job(int size, const std::function<void(uint16_t)>& at_master,
             const std::function<void(uint16_t)>& at_groups) {
  const Address master{"127.0.0.1", free_port()};
  std::latch met(size);
  std::latch go(1);
  const auto run = [&](int rank) {
    std::unique_ptr<Bootstrap> bootstrap;
    try {
      bootstrap = make_tcp_bootstrap({.rank = rank, .size = size, .master = master}, patient());
    } catch (const Error& error) {
      ADD_FAILURE() << "rank " << rank << ": " << error.what();
    }
    met.count_down();
    go.wait();
    try {
      if (bootstrap) use(*bootstrap);
    } catch (const Error& error) {
      ADD_FAILURE() << "rank " << rank << ": " << error.what();
    }
  };
  std::vector<std::jthread> ranks;
  ranks.emplace_back(run, 0);
  at_master(master.port);
  for (int r = 1; r < size; ++r) ranks.emplace_back(run, r);
  met.wait();
  for (const Address& address : testing::listened_addresses()) at_groups(address.port);
  go.count_down();
}

class Strangers : public ::testing::TestWithParam<std::pair<const char*, Sayings>> {};

TEST_P(Strangers, DoNotDisturbAJob) {
  for (const int size : {2, 3, 4}) {
    std::deque<Stranger> strangers;
    const auto come = [&](int64_t split) {
      return [&, split](uint16_t port) {
        for (const std::string& text : GetParam().second(size, split)) {
          strangers.emplace_back(port).say(text);
        }
      };
    };
    run_job(size, come(0), come(1));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Say, Strangers,
    ::testing::Values(std::pair<const char*, Sayings>{"Garbage", garbage},
                      std::pair<const char*, Sayings>{"WrongPlaces", wrong_places},
                      std::pair<const char*, Sayings>{"PartsOfAHello", parts_of_a_hello},
                      std::pair<const char*, Sayings>{"Nothing", silence},
                      std::pair<const char*, Sayings>{"NothingInACrowd", a_crowd},
                      std::pair<const char*, Sayings>{"Noise", noise}),
    [](const auto& test) { return test.param.first; });

TEST(Stranger, MayLeaveAtOnce) {
  const auto come = [](uint16_t port) {
    for (int i = 0; i < 50; ++i) Stranger(port).say(hello(1, 3, 1).substr(0, i % 32));
  };
  run_job(3, come, come);
}

// Two ranks that the test speaks for: rank 0 is the only real one.
TEST(Stranger, DoesNotReplaceARankThatCameFirst) {
  const Address master{"127.0.0.1", free_port()};
  std::jthread zero([&] {
    const auto bootstrap = make_tcp_bootstrap({.size = 3, .master = master}, patient());
    EXPECT_EQ(bootstrap->split(0, 0, "world")->size(), 3);
  });
  std::deque<Stranger> ranks;
  for (const int rank : {1, 2}) {
    ranks.emplace_back(master.port).say(hello(rank, 3, 0));
    EXPECT_EQ(ranks.back().hear(8), length_bytes(0));
  }
  for (Stranger& rank : ranks) rank.say(with_length("127.0.0.1"));
  // Rank 0 listens for groups before it reads their ports.
  while (testing::listened_addresses().size() != 1 ||
         testing::listened_addresses()[0].port == master.port) {
    std::this_thread::yield();
  }
  const uint16_t port = testing::listened_addresses().at(0).port;
  for (Stranger& rank : ranks)
    rank.say(with_length("1") + with_length("name") + with_length("0 0"));
  Stranger first_of_group(port);
  first_of_group.say(hello(1, 3, 1));
  Stranger second_of_group(port);
  second_of_group.say(hello(1, 3, 1));
  EXPECT_EQ(second_of_group.hear(1), "");  // closed, while rank 0 still waits for rank 2
  Stranger last(port);
  last.say(hello(2, 3, 1));
  zero.join();
}

TEST(Stranger, WithTheNumberOfARankThatIsThereIsToldSo) {
  const Address master{"127.0.0.1", free_port()};
  std::jthread zero(
      [&] { EXPECT_THROW(make_tcp_bootstrap({.size = 3, .master = master}, patient()), Error); });
  Stranger first(master.port);
  first.say(hello(1, 3, 0));
  EXPECT_EQ(first.hear(8), length_bytes(0));
  Stranger second(master.port);
  second.say(hello(1, 3, 0));
  EXPECT_THAT(second.hear(80), HasSubstr("there is a rank 1 already"));
  Stranger(master.port).say(hello(2, 3, 0));
}

TEST(Stranger, IsToldOfAnotherVersionOfTheProtocol) {
  const Address master{"127.0.0.1", free_port()};
  std::jthread zero([&] { use(*make_tcp_bootstrap({.size = 2, .master = master}, patient())); });
  Stranger old(master.port);
  old.say(with_length("weft 01" + std::string(17, '\0')));
  EXPECT_THAT(old.hear(100), HasSubstr("it speaks version 01 of the protocol, this rank 02"));
  use(*make_tcp_bootstrap({.rank = 1, .size = 2, .master = master}, patient()));
}

// What rank 0 ends with when a stranger takes the place of rank 1 and then says `texts`.
std::string error_after(const std::string& texts) {
  const Address master{"127.0.0.1", free_port()};
  std::string message;
  std::jthread zero([&] {
    try {
      use(*make_tcp_bootstrap({.size = 2, .master = master}, patient()));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::peer);
      message = error.what();
    }
  });
  Stranger impostor(master.port);
  impostor.say(hello(1, 2, 0));
  EXPECT_EQ(impostor.hear(8), length_bytes(0));
  impostor.say(texts);
  impostor.end();
  zero.join();
  return message;
}

TEST(Stranger, InTheRanksPlaceEndsTheJobWithAnErrorOfAPeer) {
  const std::string host = with_length("127.0.0.1");
  const std::string introduced = host + with_length("1");
  EXPECT_THAT(error_after(""), HasSubstr("the connection to rank 1 of the job ended"));
  for (const uint64_t length : {uint64_t{600}, uint64_t{1} << 32, uint64_t{1} << 63, UINT64_MAX}) {
    EXPECT_THAT(error_after(length_bytes(length)), HasSubstr("does not speak as a rank"));
    EXPECT_THAT(error_after(host + length_bytes(length)), HasSubstr("does not speak as a rank"));
  }
  for (const char* port : {"", "x", "-1", "65536", "99999999999999999999", "12 ", "0x10"}) {
    EXPECT_THAT(error_after(host + with_length(port)), HasSubstr("listens on no port"));
  }
  // The names of hosts, then claims to a group.
  for (const char* claim : {"", "1", "1 ", " 1", "a b", "1 2 3", "99999999999 0", "0 -"}) {
    EXPECT_THAT(error_after(introduced + with_length("name") + with_length(claim)),
                HasSubstr("sends no claim to a group"));
  }
}

TEST(Stranger, CannotMakeARankTakeMemoryByALength) {
  const auto most_kib = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before = most_kib();
  const std::string introduced = with_length("127.0.0.1") + with_length("1");
  EXPECT_THAT(error_after(introduced + length_bytes(uint64_t{1} << 32) + "a few bytes"),
              HasSubstr("the connection to rank 1 of the job ended"));
  EXPECT_LT(most_kib() - before, 256 << 10);
}

// What rank 1 ends with when somebody else listens where rank 0 should, and answers it so.
std::string error_at_anothers_port(const std::string& answer) {
  const Socket listener = listen_on({"127.0.0.1", 0});
  std::string message;
  std::jthread one([&] {
    try {
      make_tcp_bootstrap({.rank = 1, .size = 2, .master = local_address(listener)}, patient());
    } catch (const Error& error) {
      message = fmt::format("{}: {}", name(error.kind()), error.what());
    }
  });
  pollfd knocked{listener.fd(), POLLIN, 0};
  EXPECT_EQ(poll(&knocked, 1, 30'000), 1);
  {
    const Socket guest(accept(listener.fd(), nullptr, nullptr));
    std::string hello(kHelloBytes, '\0');
    EXPECT_EQ(recv(guest.fd(), hello.data(), hello.size(), MSG_WAITALL),
              static_cast<ssize_t>(kHelloBytes));
    send(guest.fd(), answer.data(), answer.size(), MSG_NOSIGNAL);
    shutdown(guest.fd(), SHUT_WR);
    one.join();
  }
  return message;
}

TEST(Stranger, WhereRankZeroShouldListenIsAnErrorOfAPeer) {
  const std::string taken = length_bytes(0);
  EXPECT_THAT(error_at_anothers_port("HTTP/1.1 400 Bad Request\r\n\r\n"),
              HasSubstr("does not speak as a rank"));
  EXPECT_THAT(error_at_anothers_port(length_bytes(UINT64_MAX)),
              HasSubstr("does not speak as a rank"));
  EXPECT_THAT(error_at_anothers_port(taken + with_length("no texts")),
              HasSubstr("sends no texts of 2 ranks"));
  EXPECT_THAT(error_at_anothers_port(taken + with_length(with_length("of one rank"))),
              HasSubstr("sends no texts of 2 ranks"));
  EXPECT_THAT(error_at_anothers_port(with_length("no room")), HasSubstr("no room"));
}

TEST(Ports, OfAJobOnOneHostAreThoseOfLoopback) {
  int listeners = 0;
  const auto look = [&](uint16_t) {
    for (const Address& address : testing::listened_addresses()) {
      EXPECT_TRUE(is_loopback(address.host)) << to_string(address);
      ++listeners;
    }
  };
  run_job(2, look, look);
  EXPECT_GT(listeners, 0);
}

TEST(Ports, OfAJobThatItsLauncherKeepsOnOneHostAreThoseOfLoopback) {
  const Address master{"a-name-that-is-not-looked-up.invalid", free_port()};
  std::latch met(3);
  const auto run = [&](int rank) {
    const auto bootstrap = make_tcp_bootstrap(
        {.rank = rank, .size = 2, .master = master, .local_rank = rank, .local_size = 2},
        patient());
    met.arrive_and_wait();
    use(*bootstrap);
  };
  std::jthread zero(run, 0);
  std::jthread one(run, 1);
  met.arrive_and_wait();
}

}  // namespace
}  // namespace weft
