#include "parallel/comm/nccl/nccl_communicator.h"

#include <fmt/format.h>

#include <thread>
#include <vector>

#include "core/base/error.h"

namespace weft {
namespace {

// NCCL takes most calls at once: until then a thread that enqueues kernels does better than sleep.
constexpr std::chrono::microseconds kSpin{200};
constexpr std::chrono::microseconds kNap{20};
constexpr const char* kAnotherFailed = "another group has failed";

void rest(std::chrono::steady_clock::time_point since) {
  if (std::chrono::steady_clock::now() - since < kSpin) {
    std::this_thread::yield();
  } else {
    std::this_thread::sleep_for(kNap);
  }
}

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::bf16:
      return ncclBfloat16;
    case DType::f16:
      return ncclFloat16;
    case DType::i32:
      return ncclInt32;
    case DType::i64:
      return ncclInt64;
    case DType::u8:
    case DType::u16:
      break;
  }
  return ncclUint8;  // moved, never summed
}

// How many of NCCL's elements `tensor` is.
size_t count_of(const Tensor& tensor) {
  const auto elements = static_cast<size_t>(tensor.elements());
  return tensor.dtype() == DType::u16 ? 2 * elements : elements;
}

ncclRedOp_t reduction_of(ReduceOp op) { return op == ReduceOp::sum ? ncclSum : ncclMax; }

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(const NcclApi& api, NcclWatch& watch, const ncclUniqueId& id, int rank, int size,
                   const std::string& axis, const CommOptions& options)
      : api_(api), watch_(watch), options_(options), axis_(axis), rank_(rank), size_(size) {
    if (size == 1) return;
    group_ = std::make_unique<NcclGroup>(api, axis, rank, size);
    join(id);
    watch_.add(*group_);
  }

  ~NcclCommunicator() override {
    if (group_ == nullptr) return;
    watch_.remove(*group_);
    if (watch_.failed()) return;  // the watch has aborted it
    ncclResult_t state = api_.finalize(group_->comm);
    const auto end = std::chrono::steady_clock::now() + options_.deadline;
    while (state == ncclInProgress && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(kNap);
      api_.async_error(group_->comm, &state);
    }
    if (state == ncclSuccess) {
      api_.destroy(group_->comm);
    } else {
      api_.abort(group_->comm);
    }
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& axis() const override { return axis_; }

  void all_reduce(const Tensor& inout, ReduceOp op, Stream& stream) override {
    if (size_ == 1 || inout.elements() == 0) return;
    call({CommOp::all_reduce, inout.dtype(), op, 0, inout.elements()}, stream,
         [&](cudaStream_t on) {
           return api_.all_reduce(inout.raw(), inout.raw(), count_of(inout), type_of(inout.dtype()),
                                  reduction_of(op), group_->comm, on);
         });
  }

  void reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream) override {
    check_blocks(in, out, "reduce_scatter");
    if (size_ == 1) return copy(in, out, stream);
    if (out.elements() == 0) return;
    call({CommOp::reduce_scatter, out.dtype(), ReduceOp::sum, 0, out.elements()}, stream,
         [&](cudaStream_t on) {
           return api_.reduce_scatter(in.raw(), out.raw(), count_of(out), type_of(out.dtype()),
                                      ncclSum, group_->comm, on);
         });
  }

  void all_gather(const Tensor& in, const Tensor& out, Stream& stream) override {
    check_blocks(out, in, "all_gather");
    if (size_ == 1) return copy(in, out, stream);
    if (in.elements() == 0) return;
    call({CommOp::all_gather, in.dtype(), ReduceOp::sum, 0, in.elements()}, stream,
         [&](cudaStream_t on) {
           return api_.all_gather(in.raw(), out.raw(), count_of(in), type_of(in.dtype()),
                                  group_->comm, on);
         });
  }

  void broadcast(const Tensor& inout, int root, Stream& stream) override {
    WEFT_CHECK(0 <= root && root < size_, "broadcast from rank {} of {}", root, size_);
    if (size_ == 1 || inout.elements() == 0) return;
    call({CommOp::broadcast, inout.dtype(), ReduceOp::sum, root, inout.elements()}, stream,
         [&](cudaStream_t on) {
           return api_.broadcast(inout.raw(), inout.raw(), count_of(inout), type_of(inout.dtype()),
                                 root, group_->comm, on);
         });
  }

  void exchange(std::span<const P2P> messages, Stream& stream) override {
    WEFT_CHECK(size_ > 1 || messages.empty(),
               "an exchange of {} messages leaves a group of one rank", messages.size());
    if (messages.empty()) return;
    call({CommOp::exchange, DType::u8, ReduceOp::sum, 0, static_cast<int64_t>(messages.size())},
         stream, [&](cudaStream_t on) { return post(messages, on); });
  }

  void barrier() override {
    if (size_ == 1) return;
    watch_.throw_if_failed();
    const std::string wrong = meet("barrier", [&] {
      return api_.all_reduce(group_->tokens, group_->tokens, 1, ncclFloat32, ncclSum, group_->comm,
                             group_->own_stream);
    });
    if (!wrong.empty()) watch_.fail(wrong);
    watch_.throw_if_failed();
  }

  void check() override { watch_.throw_if_failed(); }

 private:
  void join(const ncclUniqueId& id) {
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = 0;
    config.commName = axis_.c_str();
    const ncclResult_t begun = api_.init_rank(&group_->comm, size_, id, rank_, &config);
    std::string wrong = settle(begun, "joining");
    if (wrong.empty()) wrong = connect();
    if (wrong.empty()) return;
    api_.abort(group_->comm);
    fail(ErrorKind::peer, "{}", wrong);
  }

  // NCCL connects ranks when they first talk, and until its peer does the same a rank's call is not
  // accepted: done here, where all ranks do the same, and not in a step, whose order differs.
  std::string connect() {
    const int next = (rank_ + 1) % size_, previous = (rank_ + size_ - 1) % size_;
    const auto one = [&](float* at) { return Tensor(at, Shape{1}, DType::f32); };
    float* tokens = group_->tokens;
    std::vector<P2P> messages{{P2P::Kind::send, next, one(tokens)},
                              {P2P::Kind::receive, previous, one(tokens + 1)}};
    if (next != previous) {
      messages.push_back({P2P::Kind::send, previous, one(tokens)});
      messages.push_back({P2P::Kind::receive, next, one(tokens + 2)});
    }
    const std::string wrong =
        meet("connecting", [&] { return post(messages, group_->own_stream); });
    if (!wrong.empty()) return wrong;
    return meet("connecting", [&] {
      return api_.all_reduce(tokens, tokens, 1, ncclFloat32, ncclSum, group_->comm,
                             group_->own_stream);
    });
  }

  // Makes a call on the group's own stream and waits until it is done. What went wrong, or nothing.
  template <typename Make>
  std::string meet(std::string_view what, const Make& make) {
    const auto begin = std::chrono::steady_clock::now();
    cudaEvent_t done = nullptr;
    std::string wrong;
    {
      const std::lock_guard lock(group_->mutex);
      if (watch_.failed()) return kAnotherFailed;
      wrong = settle(make(), what);
      const bool marked = api_.event_create(&done, cudaEventDisableTiming) == cudaSuccess &&
                          api_.event_record(done, group_->own_stream) == cudaSuccess;
      if (wrong.empty() && !marked) wrong = "CUDA has no event for a barrier";
    }
    while (wrong.empty() && !watch_.failed() && api_.event_query(done) == cudaErrorNotReady) {
      if (std::chrono::steady_clock::now() >= begin + options_.deadline) wrong = waits(what);
      rest(begin);
    }
    api_.event_destroy(done);
    return wrong;
  }

  // Makes one call of NCCL; `make` gets the CUDA stream.
  template <typename Make>
  void call(CallHeader header, Stream& stream, const Make& make) {
    watch_.throw_if_failed();
    header.sequence = calls_++;
    const cudaStream_t on = api_.stream_of(stream);
    std::string wrong;
    {
      const std::lock_guard lock(group_->mutex);
      wrong = watch_.failed() ? kAnotherFailed : settle(make(on), name(header.op));
      if (wrong.empty()) group_->note(header, on);
    }
    if (wrong.empty()) return;
    watch_.fail(wrong);
    watch_.throw_if_failed();
  }

  // Waits until NCCL has taken a call, which it does in the background. What went wrong, or
  // nothing.
  std::string settle(ncclResult_t state, std::string_view what) {
    const auto begin = std::chrono::steady_clock::now();
    while (state == ncclInProgress) {
      if (watch_.failed()) return kAnotherFailed;
      if (std::chrono::steady_clock::now() >= begin + options_.deadline) return waits(what);
      rest(begin);
      const ncclResult_t asked = api_.async_error(group_->comm, &state);
      if (asked != ncclSuccess) state = asked;
    }
    if (state == ncclSuccess) return {};
    return fmt::format("{} on axis {}: rank {} of {}: {}: {}", what, axis_, rank_, size_,
                       api_.error_string(state), api_.last_error(group_->comm));
  }

  std::string waits(std::string_view what) const {
    return fmt::format("{} on axis {}: rank {} of {} waits for its peers, no answer within {:g} s",
                       what, axis_, rank_, size_,
                       std::chrono::duration<double>(options_.deadline).count());
  }

  ncclResult_t post(std::span<const P2P> messages, cudaStream_t on) {
    ncclResult_t worst = api_.group_start();
    for (const P2P& m : messages) {
      const bool is_send = m.kind == P2P::Kind::send;
      const size_t count = count_of(m.tensor);
      const ncclDataType_t type = type_of(m.tensor.dtype());
      const ncclResult_t posted =
          is_send ? api_.send(m.tensor.raw(), count, type, m.peer, group_->comm, on)
                  : api_.receive(m.tensor.raw(), count, type, m.peer, group_->comm, on);
      if (posted != ncclSuccess && posted != ncclInProgress) worst = posted;
    }
    const ncclResult_t ended = api_.group_end();
    return worst == ncclSuccess ? ended : worst;
  }

  void check_blocks(const Tensor& whole, const Tensor& block, const char* what) const {
    WEFT_CHECK(whole.dtype() == block.dtype() && whole.elements() == size_ * block.elements(),
               "{} of {} ranks on axis {}: {} and {}", what, size_, axis_, to_string(whole),
               to_string(block));
  }

  void copy(const Tensor& from, const Tensor& to, Stream& stream) {
    if (from.raw() == to.raw() || from.bytes() == 0) return;
    const cudaError_t copied =
        api_.copy(to.raw(), from.raw(), from.bytes(), api_.stream_of(stream));
    if (copied != cudaSuccess) {
      fail(ErrorKind::environment, "CUDA cannot copy {} bytes (error {})", from.bytes(),
           static_cast<int>(copied));
    }
  }

  const NcclApi& api_;
  NcclWatch& watch_;
  CommOptions options_;
  std::string axis_;
  int rank_;
  int size_;
  int64_t calls_ = 0;
  std::unique_ptr<NcclGroup> group_;  // null with one rank
};

}  // namespace

std::unique_ptr<Communicator> make_nccl_communicator(const NcclApi& api, NcclWatch& watch,
                                                     const ncclUniqueId& id, int rank, int size,
                                                     const std::string& axis,
                                                     const CommOptions& options) {
  return std::make_unique<NcclCommunicator>(api, watch, id, rank, size, axis, options);
}

}  // namespace weft
