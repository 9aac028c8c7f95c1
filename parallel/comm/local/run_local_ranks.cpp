// Ranks as threads: the bootstrap they talk over and the run that starts and joins them.
#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

#include "parallel/comm/bootstrap.h"
#include "parallel/comm/color_group.h"
#include "parallel/comm/host_communicator.h"
#include "parallel/comm/local/local_communicator.h"
#include "parallel/comm/local/local_group.h"
#include "parallel/comm/local/local_world.h"

namespace weft {
namespace {

class LocalBootstrap final : public Bootstrap {
 public:
  LocalBootstrap(LocalWorld& world, int rank) : world_(world), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return world_.size(); }
  int local_rank() const override { return rank_; }
  int local_size() const override { return world_.size(); }
  int ranks_in_process() const override { return world_.size(); }
  void set_deadline(std::chrono::milliseconds deadline) override {
    world_.patience().set_deadline(deadline);
  }

  void barrier() override {
    Call call;
    call.header.sequence = calls_++;
    world_.group().open(rank_, call);
    world_.group().close(rank_);
  }

  std::string broadcast(const std::string& text, int root) override {
    return all_gather(text)[static_cast<size_t>(root)];
  }

  std::vector<std::string> all_gather(const std::string& text) override {
    world_.texts[static_cast<size_t>(rank_)] = text;
    barrier();
    std::vector<std::string> all = world_.texts;
    barrier();
    return all;
  }

  std::unique_ptr<Communicator> split(int color, int key, const std::string& axis) override {
    const std::vector<int> members = color_group(gather_claims(*this, {color, key}), rank_);
    // The group's first rank makes it, the others pick it up.
    std::shared_ptr<LocalGroup>& made = world_.new_groups[static_cast<size_t>(members.front())];
    if (members.front() == rank_) made = std::make_shared<LocalGroup>(world_, members, axis);
    barrier();
    const std::shared_ptr<LocalGroup> group = made;
    barrier();
    if (members.size() == 1) return make_self_communicator(axis);
    const auto me = std::find(members.begin(), members.end(), rank_) - members.begin();
    return make_local_communicator(group, static_cast<int>(me), axis);
  }

 private:
  LocalWorld& world_;
  int rank_;
  int64_t calls_ = 0;
};

void run_rank(LocalWorld& world, int rank, const std::function<void(Bootstrap&)>& body) {
  try {
    LocalBootstrap bootstrap(world, rank);
    body(bootstrap);
  } catch (const std::exception& error) {
    world.fail(rank, std::current_exception(), error.what());
  } catch (...) {
    world.fail(rank, std::current_exception(), "an exception of unknown type");
  }
  world.end(rank);
}

}  // namespace

void run_local_ranks(int ranks, const std::function<void(Bootstrap&)>& body,
                     const CommOptions& options) {
  if (ranks < 1) {
    fail(ErrorKind::config, "cannot run {} ranks in this process; at least 1 is needed", ranks);
  }
  LocalWorld world(ranks, options);
  {
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<size_t>(ranks));
    for (int r = 0; r < ranks; ++r) {
      try {
        threads.emplace_back([&world, r, &body] { run_rank(world, r, body); });
      } catch (const std::system_error& cause) {
        // The ranks that there are wait for the others.
        const Error error(
            ErrorKind::environment,
            fmt::format("cannot make the thread of rank {} of {} ({}); raise the "
                        "limit of processes (ulimit -u, pids.max of the container) or "
                        "of memory (ulimit -v), or start fewer ranks",
                        r, ranks, cause.what()));
        world.fail(r, std::make_exception_ptr(error), error.what());
        for (int missing = r; missing < ranks; ++missing) world.end(missing);
        break;
      }
    }
  }
  if (world.error() != nullptr) std::rethrow_exception(world.error());
}

}  // namespace weft
