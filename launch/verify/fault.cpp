#include "launch/verify/fault.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "core/device/cpu/cpu_device.h"

namespace weft {
namespace {

// Work on the host memory of a CPU rank, where all faults happen.
class FaultyCommunicator final : public Communicator {
 public:
  // `fault` is null or one of this communicator's family.
  FaultyCommunicator(std::unique_ptr<Communicator> inner, const Fault* fault,
                     std::array<int64_t, kFaultKinds>& calls)
      : inner_(std::move(inner)), fault_(fault), calls_(calls) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  const std::string& axis() const override { return inner_->axis(); }

  void all_reduce(const Tensor& inout, ReduceOp op, Stream& stream) override {
    const auto broken = call(op == ReduceOp::sum, false);
    if (broken == FaultKind::drop_collective) return;
    inner_->all_reduce(inout, op, stream);
    if (broken == FaultKind::skip_scale) divide(inout, stream);
  }

  void reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream) override {
    const auto broken = call(true, true);
    if (broken == FaultKind::drop_collective) return;
    if (broken == FaultKind::wrong_shard) rotate(in, stream);
    inner_->reduce_scatter(in, out, stream);
    if (broken == FaultKind::skip_scale) divide(out, stream);
  }

  void all_gather(const Tensor& in, const Tensor& out, Stream& stream) override {
    const auto broken = call(false, true);
    if (broken == FaultKind::drop_collective) return spoil(out, stream);
    inner_->all_gather(in, out, stream);
    if (broken == FaultKind::wrong_shard) rotate(out, stream);
  }

  void broadcast(const Tensor& inout, int root, Stream& stream) override {
    if (call(false, false)) return;
    inner_->broadcast(inout, root, stream);
  }

  void exchange(std::span<const P2P> messages, Stream& stream) override {
    if (!call(false, false)) {
      return inner_->exchange(messages, stream);
    }
    for (const P2P& m : messages) {
      if (m.kind == P2P::Kind::receive) spoil(m.tensor, stream);
    }
  }

  void barrier() override { inner_->barrier(); }
  void check() override { inner_->check(); }

 private:
  // Counts a call and says which kind breaks it, if any. Dropping applies to every call.
  std::optional<FaultKind> call(bool sums, bool shards) {
    std::optional<FaultKind> broken;
    const bool applies[kFaultKinds] = {true, sums, shards};
    for (size_t kind = 0; kind < kFaultKinds; ++kind) {
      if (!applies[kind]) continue;
      const int64_t number = calls_[kind]++;
      const bool hit = fault_ != nullptr && static_cast<size_t>(fault_->kind) == kind;
      if (hit && fault_->call == number) broken = fault_->kind;
    }
    return broken;
  }

  // What was there before may be what would have arrived.
  static void spoil(const Tensor& tensor, Stream& stream) {
    cpu_stream(stream).run([data = tensor.raw(), bytes = tensor.bytes()] {
      std::memset(data, 0x3E, bytes);  // 0.186 in f32: nothing overflows
    });
  }

  template <typename T>
  void divide_as(const Tensor& tensor, Stream& stream) {
    cpu_stream(stream).run([data = tensor.data<T>(), count = tensor.elements(), ranks = size()] {
      for (int64_t i = 0; i < count; ++i) data[i] /= static_cast<T>(ranks);
    });
  }
  void divide(const Tensor& tensor, Stream& stream) {
    if (tensor.dtype() == DType::f32) return divide_as<float>(tensor, stream);
    if (tensor.dtype() == DType::f64) return divide_as<double>(tensor, stream);
    WEFT_CHECK(tensor.dtype() == DType::i64, "verify runs in f32");
    divide_as<int64_t>(tensor, stream);
  }

  // Each rank's block goes where the block before it was.
  void rotate(const Tensor& blocks, Stream& stream) {
    cpu_stream(stream).run([data = static_cast<std::byte*>(blocks.raw()), bytes = blocks.bytes(),
                            ranks = static_cast<size_t>(size())] {
      std::rotate(data, data + bytes / ranks, data + bytes);
    });
  }

  std::unique_ptr<Communicator> inner_;
  const Fault* fault_;
  std::array<int64_t, kFaultKinds>& calls_;
};

}  // namespace

std::string to_string(const Fault& fault) {
  return fmt::format("call {} of {}", fault.call, fault.family);
}

std::vector<Fault> faults_of(const CallCounts& calls, FaultKind kind) {
  std::vector<Fault> all;
  for (const auto& [family, counts] : calls) {
    for (int64_t call = 0; call < counts[static_cast<size_t>(kind)]; ++call) {
      all.push_back({kind, family, call});
    }
  }
  return all;
}

std::unique_ptr<Communicator> FaultInjector::wrap(std::unique_ptr<Communicator> inner,
                                                  const std::vector<int>& ranks) {
  if (inner->size() == 1) return inner;
  std::set<int> stages;
  for (const int r : ranks) stages.insert(coord_of(r, mesh_).pp);
  std::string family = fmt::format("{} in stage {}", inner->axis(), fmt::join(stages, "+"));
  // Two stages have two channels, one each way.
  if (const int before = groups_[family]++; before > 0) family += fmt::format(" ({})", before + 1);
  const bool hit = fault_ && fault_->family == family;
  return std::make_unique<FaultyCommunicator>(std::move(inner), hit ? &*fault_ : nullptr,
                                              calls_[family]);
}

}  // namespace weft
