// LocalGroup: the meeting place of one group of ranks that are threads of one process.
//
// A collective is: open() publishes this rank's call and returns when all ranks have published the
// same one; then every rank reads its peers' memory; close() returns when all have finished, after
// which the memory is its owner's again.
//
// Only open() can fail. A rank that leaves open() with an error breaks the group under the lock, so
// that nobody can pass it later and touch memory that its unwinding frees; a rank that has passed
// open() always reaches close(). An exchange keeps the same promise message by message: it takes
// back what it has posted before it throws, and waits for a peer that is copying right now.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "parallel/comm/call.h"
#include "parallel/comm/local/local_world.h"

namespace weft {

class LocalGroup {
 public:
  // world_ranks: this group's ranks in group order.
  LocalGroup(LocalWorld& world, std::vector<int> world_ranks, std::string axis);

  int size() const { return static_cast<int>(world_ranks_.size()); }
  // Throws Error{peer} if the ranks' calls differ or a rank does not come.
  void open(int rank, const Call& call);
  void close(int rank);
  const Call& call(int rank) const { return calls_[static_cast<size_t>(rank)]; }

  // Delivers all messages of one rank's exchange; returns when the peers have taken what it sends.
  void exchange(int rank, std::span<const Message> messages, int64_t sequence);

 private:
  // One message on its way from one rank to another.
  struct Box {
    enum class State { empty, posted, taken, done };
    State state = State::empty;
    Message message;
  };
  // A rank's progress through its message list; used again by its next exchange.
  struct Progress {
    enum class State { waiting, posted, done };
    std::vector<State> states;
    std::vector<bool> sending;    // per peer: an earlier message of the list is not done yet
    std::vector<bool> receiving;  // per peer, likewise
  };
  using Lock = std::unique_lock<std::mutex>;

  Box& box(int from, int to) {
    return boxes_[static_cast<size_t>(from) * world_ranks_.size() + static_cast<size_t>(to)];
  }

  // Counts this rank in; true if it was the last one of this generation.
  bool arrive(int rank, uint64_t generation);
  bool spin_past(uint64_t generation) const;
  void check_calls(int rank);

  bool step(Lock& lock, int rank, std::span<const Message> messages, int64_t sequence);
  bool step_send(int rank, const Message& message, Progress::State& state);
  bool step_receive(Lock& lock, int rank, const Message& message, Progress::State& state,
                    int64_t sequence);
  void withdraw(Lock& lock, int rank, std::span<const Message> messages);

  // Waits until done() holds. Breaks the group and throws when another rank has failed, a rank for
  // which is_missing(rank) holds has ended, or the deadline has passed. `what` returns the call.
  template <typename Done, typename IsMissing, typename What>
  void wait_or_break(Lock& lock, int rank, Done done, IsMissing is_missing, What what);
  // The lock is held.
  [[noreturn]] void break_group(int rank, const std::string& message);
  void throw_if_broken() const;
  std::string member(int rank) const;  // "rank 1", with its world rank where that differs

  LocalWorld& world_;
  std::vector<int> world_ranks_;
  std::string axis_;

  mutable std::mutex mutex_;  // guards all below but what open() and close() order
  std::condition_variable changed_;
  std::atomic<uint64_t> generation_{0};  // completed meetings
  int arrived_ = 0;
  std::vector<uint64_t> arrivals_;  // per rank: meetings it has come to
  bool broken_ = false;
  std::string broken_message_;
  std::vector<Call> calls_;  // each written by its rank before open(), read between open and close
  std::vector<Box> boxes_;
  std::vector<Progress> progress_;  // each used by its rank alone
};

}  // namespace weft
