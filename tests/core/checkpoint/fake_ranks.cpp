#include "tests/core/checkpoint/fake_ranks.h"

#include <exception>
#include <thread>

#include "core/base/error.h"

namespace weft {

std::vector<std::string> FakeWorld::exchange(int rank, const std::string& text) {
  std::unique_lock<std::mutex> lock(mutex_);
  const int64_t round = round_;
  texts_[static_cast<size_t>(rank)] = text;
  if (++arrived_ == size_) {
    arrived_ = 0;
    last_ = texts_;
    ++round_;
    changed_.notify_all();
  } else {
    changed_.wait(lock, [&] { return round_ != round; });
  }
  return last_;
}

std::string FakeBootstrap::broadcast(const std::string& text, int root) {
  return world_.exchange(rank_, text)[static_cast<size_t>(root)];
}

std::vector<std::string> FakeBootstrap::all_gather(const std::string& text) {
  return world_.exchange(rank_, text);
}

std::unique_ptr<Communicator> FakeBootstrap::split(int, int, const std::string&) {
  fail(ErrorKind::internal, "checkpoints need no communicator");
}

std::vector<std::string> run_ranks(int ranks, const std::function<void(Bootstrap&)>& body) {
  FakeWorld world(ranks);
  std::vector<std::string> errors(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&, rank] {
      FakeBootstrap bootstrap(world, rank);
      try {
        body(bootstrap);
      } catch (const std::exception& error) {
        errors[static_cast<size_t>(rank)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return errors;
}

}  // namespace weft
