// NcclWatch: notices when a GPU collective of this rank will never end, and ends the job's others.
//
// A kernel of NCCL waits on the GPU for peers that may be dead. A thread looks at every group about
// ten times a second: at NCCL's own errors, and at how long the oldest call under way has been the
// oldest. On the first failure all groups are aborted, which ends their kernels, so that whoever
// waits for a stream goes on and finds Error{peer} at its next call.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "parallel/comm/call.h"
#include "parallel/comm/nccl/nccl_api.h"
#include "parallel/comm/options.h"

namespace weft {

// One group's communicator of NCCL, and what of it is under way.
class NcclGroup {
 public:
  NcclGroup(const NcclApi& api, std::string axis, int rank, int size);
  ~NcclGroup();
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;

  ncclComm_t comm = nullptr;
  std::mutex mutex;  // held around calls of NCCL on `comm` and by the watch
  const std::string axis;
  const int rank;
  const int size;
  // For barriers: device memory of kTokens f32, and a stream of the group's own.
  static constexpr int kTokens = 3;
  float* tokens = nullptr;
  cudaStream_t own_stream = nullptr;

  // After a call was enqueued, the lock is held: remembers it, if there is room.
  void note(const CallHeader& header, cudaStream_t stream);

 private:
  friend class NcclWatch;
  void release();

  static constexpr size_t kNoted = 64;
  struct Noted {
    CallHeader header;
    cudaEvent_t event = nullptr;
  };

  const NcclApi& api_;
  std::array<Noted, kNoted> noted_;
  size_t first_ = 0;
  size_t end_ = 0;
  std::chrono::steady_clock::time_point oldest_since_{};
  bool aborted_ = false;
};

class NcclWatch {
 public:
  NcclWatch(const NcclApi& api, const CommOptions& options);
  ~NcclWatch();
  NcclWatch(const NcclWatch&) = delete;
  NcclWatch& operator=(const NcclWatch&) = delete;

  void add(NcclGroup& group);
  void remove(NcclGroup& group);
  bool failed() const { return failed_; }
  // Throws Error{peer} with what was seen first, if anything was.
  void throw_if_failed() const;
  // Aborts every group, all together and once. For the watch itself and for a call that NCCL
  // refuses.
  void fail(const std::string& message);

  // Looks at all groups once; the thread does so again and again.
  void look();

 private:
  void run();
  std::string look_at(NcclGroup& group);

  const NcclApi& api_;
  CommOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  std::vector<NcclGroup*> groups_;
  std::string failure_;
  std::atomic<bool> failed_{false};
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace weft
