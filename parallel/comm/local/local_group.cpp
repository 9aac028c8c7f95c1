#include "parallel/comm/local/local_group.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

namespace weft {
namespace {

// How soon a waiting rank notices that another has failed.
constexpr std::chrono::milliseconds kLook{20};
constexpr int kSpins = 64;

}  // namespace

LocalGroup::LocalGroup(LocalWorld& world, std::vector<int> world_ranks, std::string axis)
    : world_(world),
      world_ranks_(std::move(world_ranks)),
      axis_(std::move(axis)),
      arrivals_(world_ranks_.size()),
      calls_(world_ranks_.size()),
      boxes_(world_ranks_.size() * world_ranks_.size()),
      progress_(world_ranks_.size()) {
  for (Progress& p : progress_) {
    p.sending.resize(world_ranks_.size());
    p.receiving.resize(world_ranks_.size());
  }
}

void LocalGroup::open(int rank, const Call& call) {
  uint64_t generation = 0;
  {
    const Lock lock(mutex_);
    throw_if_broken();
    calls_[static_cast<size_t>(rank)] = call;
    generation = generation_.load(std::memory_order_relaxed);
    if (arrive(rank, generation)) generation = UINT64_MAX;
  }
  if (generation != UINT64_MAX && !spin_past(generation)) {
    Lock lock(mutex_);
    wait_or_break(
        lock, rank, [&] { return generation_.load(std::memory_order_relaxed) != generation; },
        [&](int r) { return arrivals_[static_cast<size_t>(r)] <= generation; },
        [&] { return to_string(call.header); });
  }
  check_calls(rank);
}

void LocalGroup::close(int rank) {
  Lock lock(mutex_);
  const uint64_t generation = generation_.load(std::memory_order_relaxed);
  if (arrive(rank, generation)) return;
  lock.unlock();
  if (spin_past(generation)) return;
  lock.lock();
  changed_.wait(lock, [&] { return generation_.load(std::memory_order_relaxed) != generation; });
}

bool LocalGroup::arrive(int rank, uint64_t generation) {
  arrivals_[static_cast<size_t>(rank)] = generation + 1;
  if (++arrived_ < size()) return false;
  arrived_ = 0;
  generation_.store(generation + 1, std::memory_order_release);
  changed_.notify_all();
  return true;
}

bool LocalGroup::spin_past(uint64_t generation) const {
  for (int i = 0; i < kSpins; ++i) {
    if (generation_.load(std::memory_order_acquire) != generation) return true;
    sched_yield();
  }
  return false;
}

// Every rank comes to the same verdict, with the same words.
void LocalGroup::check_calls(int rank) {
  const CallHeader& first = calls_.front().header;
  for (int r = 1; r < size(); ++r) {
    const CallHeader& other = call(r).header;
    if (other == first) continue;
    const Lock lock(mutex_);
    break_group(rank, fmt::format("the calls on axis {} differ: {} made {}, {} made {}", axis_,
                                  member(0), to_string(first), member(r), to_string(other)));
  }
}

void LocalGroup::exchange(int rank, std::span<const Message> messages, int64_t sequence) {
  std::vector<Progress::State>& states = progress_[static_cast<size_t>(rank)].states;
  states.assign(messages.size(), Progress::State::waiting);
  const auto is_done = [](Progress::State s) { return s == Progress::State::done; };
  const auto is_missing = [&](int r) {
    for (size_t i = 0; i < messages.size(); ++i) {
      if (messages[i].peer == r && !is_done(states[i])) return true;
    }
    return false;
  };
  Lock lock(mutex_);
  try {
    throw_if_broken();
    while (!std::all_of(states.begin(), states.end(), is_done)) {
      wait_or_break(
          lock, rank, [&] { return step(lock, rank, messages, sequence); }, is_missing,
          [&] { return fmt::format("exchange (call {})", sequence); });
    }
  } catch (...) {
    withdraw(lock, rank, messages);
    throw;
  }
}

// Moves each peer's first unfinished message on; false if none could move.
bool LocalGroup::step(Lock& lock, int rank, std::span<const Message> messages, int64_t sequence) {
  Progress& p = progress_[static_cast<size_t>(rank)];
  std::fill(p.sending.begin(), p.sending.end(), false);
  std::fill(p.receiving.begin(), p.receiving.end(), false);
  bool moved = false;
  for (size_t i = 0; i < messages.size(); ++i) {
    const Message& m = messages[i];
    if (p.states[i] == Progress::State::done) continue;
    const bool send = m.kind == P2P::Kind::send;
    auto busy = (send ? p.sending : p.receiving)[static_cast<size_t>(m.peer)];
    if (busy) continue;
    busy = true;
    moved |=
        send ? step_send(rank, m, p.states[i]) : step_receive(lock, rank, m, p.states[i], sequence);
  }
  return moved;
}

bool LocalGroup::step_send(int rank, const Message& message, Progress::State& state) {
  Box& b = box(rank, message.peer);
  if (state == Progress::State::waiting && b.state == Box::State::empty) {
    b = {Box::State::posted, message};
    state = Progress::State::posted;
    changed_.notify_all();
    return true;
  }
  if (state == Progress::State::posted && b.state == Box::State::done) {
    b.state = Box::State::empty;
    state = Progress::State::done;
    return true;
  }
  return false;
}

bool LocalGroup::step_receive(Lock& lock, int rank, const Message& message, Progress::State& state,
                              int64_t sequence) {
  Box& b = box(message.peer, rank);
  if (b.state != Box::State::posted) return false;
  const Message& sent = b.message;
  if (sent.dtype != message.dtype || sent.count != message.count) {
    break_group(rank, fmt::format("exchange (call {}) on axis {}: {} sends {}[{}], {} receives "
                                  "{}[{}]",
                                  sequence, axis_, member(message.peer), name(sent.dtype),
                                  sent.count, member(rank), name(message.dtype), message.count));
  }
  b.state = Box::State::taken;
  lock.unlock();
  if (message.bytes() > 0) std::memcpy(message.data, sent.data, message.bytes());
  lock.lock();
  b.state = Box::State::done;
  state = Progress::State::done;
  changed_.notify_all();
  return true;
}

void LocalGroup::withdraw(Lock& lock, int rank, std::span<const Message> messages) {
  const std::vector<Progress::State>& states = progress_[static_cast<size_t>(rank)].states;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].kind != P2P::Kind::send || states[i] != Progress::State::posted) continue;
    Box& b = box(rank, messages[i].peer);
    changed_.wait(lock, [&] { return b.state != Box::State::taken; });
    b.state = Box::State::empty;
  }
}

template <typename Done, typename IsMissing, typename What>
void LocalGroup::wait_or_break(Lock& lock, int rank, Done done, IsMissing is_missing, What what) {
  using Clock = std::chrono::steady_clock;
  Clock::duration waited{};  // but for what this process was stopped
  const std::chrono::milliseconds limit = world_.patience().deadline();
  bool warned = false;
  while (!done()) {
    throw_if_broken();
    std::string missing;
    bool ended = false;
    if (world_.failed()) {
      broken_ = true;
      broken_message_ = world_.failure();
      changed_.notify_all();
      throw_if_broken();
    }
    const bool late = waited >= limit;
    const bool slow = !warned && waited >= limit / 10;
    for (int r = 0; r < size(); ++r) {
      if (r == rank || !is_missing(r)) continue;
      const bool gone = world_.ended(world_ranks_[static_cast<size_t>(r)]);
      ended |= gone;
      if (gone || late || slow) missing += (missing.empty() ? "" : ", ") + member(r);
    }
    const auto waits = [&] {
      return fmt::format("{} on axis {}: {} waits for {}", what(), axis_, member(rank), missing);
    };
    if (ended || late) {
      const double seconds = std::chrono::duration<double>(limit).count();
      break_group(rank, waits() + (ended ? ", which has ended without this call"
                                         : fmt::format(", no answer within {:g} s", seconds)));
    }
    if (slow) {
      world_.patience().warn(waits(), std::chrono::floor<std::chrono::milliseconds>(waited));
    }
    warned |= slow;
    const auto start = Clock::now();
    changed_.wait_for(lock, kLook);
    waited += std::min<Clock::duration>(Clock::now() - start, kLook);
  }
}

void LocalGroup::break_group(int rank, const std::string& message) {
  broken_ = true;
  broken_message_ = message;
  changed_.notify_all();
  const Error error(ErrorKind::peer, message);
  world_.fail(world_ranks_[static_cast<size_t>(rank)], std::make_exception_ptr(error), message);
  throw error;
}

void LocalGroup::throw_if_broken() const {
  if (broken_) throw ReleasedError(broken_message_);
}

std::string LocalGroup::member(int rank) const {
  const int world_rank = world_ranks_[static_cast<size_t>(rank)];
  return world_rank == rank ? fmt::format("rank {}", rank)
                            : fmt::format("rank {} (world rank {})", rank, world_rank);
}

}  // namespace weft
