// What the ranks of run_local_ranks share: who failed, who has ended, and a table to talk over.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "parallel/comm/options.h"
#include "parallel/comm/patience.h"

namespace weft {

class LocalGroup;

// Thrown into ranks that wait while another rank has failed: a consequence, never the cause.
class ReleasedError : public Error {
 public:
  explicit ReleasedError(const std::string& message) : Error(ErrorKind::peer, message) {}
};

class LocalWorld {
 public:
  LocalWorld(int size, const CommOptions& options);
  ~LocalWorld();

  int size() const { return static_cast<int>(ended_.size()); }
  Patience& patience() { return patience_; }

  // The first caller's error is what the job fails with. A ReleasedError never is, unless it is
  // the only one there is.
  void fail(int rank, std::exception_ptr error, const std::string& message);
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  std::string failure() const;       // "rank 2 failed: ..."
  std::exception_ptr error() const;  // null while nobody has failed

  void end(int rank) { ended_[static_cast<size_t>(rank)].store(true, std::memory_order_release); }
  bool ended(int rank) const {
    return ended_[static_cast<size_t>(rank)].load(std::memory_order_acquire);
  }

  // One slot per rank, written by its owner, read by all between two barriers of group().
  std::vector<std::string> texts;
  std::vector<std::shared_ptr<LocalGroup>> new_groups;
  LocalGroup& group() { return *group_; }

 private:
  Patience patience_;
  std::vector<std::atomic<bool>> ended_;
  std::atomic<bool> failed_{false};
  mutable std::mutex mutex_;
  std::string failure_;
  std::exception_ptr error_;
  std::unique_ptr<LocalGroup> group_;  // all ranks; the control plane's
};

}  // namespace weft
