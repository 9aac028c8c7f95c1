// Ranks for checkpoint tests: threads that exchange texts through shared memory.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/mesh/communicator.h"

namespace weft {

// What N ranks exchange: each round, everybody's text.
class FakeWorld {
 public:
  explicit FakeWorld(int size) : size_(size), texts_(static_cast<size_t>(size)) {}

  int size() const { return size_; }
  std::vector<std::string> exchange(int rank, const std::string& text);

 private:
  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_;
  std::vector<std::string> last_;
  int arrived_ = 0;
  int64_t round_ = 0;
};

class FakeBootstrap : public Bootstrap {
 public:
  FakeBootstrap(FakeWorld& world, int rank) : world_(world), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return world_.size(); }
  int local_rank() const override { return rank_; }
  int local_size() const override { return world_.size(); }
  void barrier() override { world_.exchange(rank_, ""); }
  std::string broadcast(const std::string& text, int root) override;
  std::vector<std::string> all_gather(const std::string& text) override;
  std::unique_ptr<Communicator> split(int color, int key, const std::string& axis) override;

 private:
  FakeWorld& world_;
  const int rank_;
};

// Runs `body` on `ranks` threads; returns each rank's error text, "" where it threw none.
std::vector<std::string> run_ranks(int ranks, const std::function<void(Bootstrap&)>& body);

}  // namespace weft
