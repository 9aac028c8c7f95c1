#include "parallel/comm/nccl/nccl_watch.h"

#include <fmt/format.h>

#include <utility>

#include "core/base/error.h"

namespace weft {
namespace {

constexpr std::chrono::milliseconds kLook{100};

}  // namespace

NcclGroup::NcclGroup(const NcclApi& api, std::string name, int group_rank, int group_size)
    : axis(std::move(name)), rank(group_rank), size(group_size), api_(api) {
  void* memory = nullptr;
  cudaError_t made = api_.allocate(&memory, kTokens * sizeof(float));
  tokens = static_cast<float*>(memory);
  if (made == cudaSuccess) made = api_.stream_create(&own_stream);
  for (Noted& n : noted_) {
    if (made == cudaSuccess) made = api_.event_create(&n.event, cudaEventDisableTiming);
  }
  if (made == cudaSuccess) return;
  release();
  fail(ErrorKind::environment,
       "CUDA has no stream, events or memory for a group of axis {} (error {})", axis,
       static_cast<int>(made));
}

NcclGroup::~NcclGroup() { release(); }

void NcclGroup::release() {
  for (const Noted& n : noted_) {
    if (n.event != nullptr) api_.event_destroy(n.event);
  }
  if (own_stream != nullptr) api_.stream_destroy(own_stream);
  if (tokens != nullptr) api_.release(tokens);
}

void NcclGroup::note(const CallHeader& header, cudaStream_t stream) {
  if (end_ - first_ == kNoted) return;  // the oldest is what matters
  if (first_ == end_) oldest_since_ = std::chrono::steady_clock::now();
  Noted& n = noted_[end_ % kNoted];
  if (api_.event_record(n.event, stream) != cudaSuccess) return;
  n.header = header;
  ++end_;
}

NcclWatch::NcclWatch(const NcclApi& api, const CommOptions& options)
    : api_(api), options_(options), thread_([this] { run(); }) {}

NcclWatch::~NcclWatch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

void NcclWatch::add(NcclGroup& group) {
  const std::lock_guard lock(mutex_);
  groups_.push_back(&group);
}

void NcclWatch::remove(NcclGroup& group) {
  const std::lock_guard lock(mutex_);
  std::erase(groups_, &group);
}

void NcclWatch::throw_if_failed() const {
  if (!failed_) return;
  const std::lock_guard lock(mutex_);
  throw Error(ErrorKind::peer, failure_);
}

void NcclWatch::fail(const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (failed_) return;
  failure_ = message;
  failed_ = true;
  // To end one group its memory is freed, which waits for the kernels of all: so as a set.
  std::vector<std::unique_lock<std::mutex>> held;
  for (NcclGroup* group : groups_) held.emplace_back(group->mutex);
  api_.group_start();
  for (NcclGroup* group : groups_) {
    if (!group->aborted_) api_.abort(group->comm);
    group->aborted_ = true;
  }
  api_.group_end();
}

void NcclWatch::look() {
  std::string found;
  {
    const std::lock_guard lock(mutex_);
    if (failed_) return;
    for (NcclGroup* group : groups_) {
      if (found.empty()) found = look_at(*group);
    }
  }
  if (!found.empty()) fail(found);
}

std::string NcclWatch::look_at(NcclGroup& group) {
  const std::lock_guard lock(group.mutex);
  ncclResult_t state = ncclSuccess;
  api_.async_error(group.comm, &state);
  if (state != ncclSuccess && state != ncclInProgress) {
    return fmt::format("NCCL on axis {}: rank {} of {}: {}: {}", group.axis, group.rank, group.size,
                       api_.error_string(state), api_.last_error(group.comm));
  }
  const auto now = std::chrono::steady_clock::now();
  while (group.first_ != group.end_) {
    const NcclGroup::Noted& oldest = group.noted_[group.first_ % NcclGroup::kNoted];
    if (api_.event_query(oldest.event) != cudaSuccess) break;
    ++group.first_;
    group.oldest_since_ = now;
  }
  if (group.first_ == group.end_ || now - group.oldest_since_ < options_.deadline) return {};
  return fmt::format("{} on axis {}: rank {} of {} waits for its peers, no answer within {:g} s",
                     to_string(group.noted_[group.first_ % NcclGroup::kNoted].header), group.axis,
                     group.rank, group.size,
                     std::chrono::duration<double>(options_.deadline).count());
}

void NcclWatch::run() {
  if (api_.use_device) api_.use_device();
  std::unique_lock lock(mutex_);
  while (!ended_.wait_for(lock, kLook, [this] { return stop_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

}  // namespace weft
