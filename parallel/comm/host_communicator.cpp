#include "parallel/comm/host_communicator.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace weft {
namespace {

// Sends to this rank itself are paired with the receives from it, in order, and removed.
void settle_self_messages(std::vector<Message>& messages, int rank) {
  auto send = messages.begin();
  auto receive = messages.begin();
  const auto next = [&](auto& it, P2P::Kind kind) {
    while (it != messages.end() && !(it->peer == rank && it->kind == kind)) ++it;
    return it != messages.end();
  };
  while (true) {
    const bool sends = next(send, P2P::Kind::send);
    const bool receives = next(receive, P2P::Kind::receive);
    WEFT_CHECK(sends == receives, "rank {} sends to itself what it does not receive, or reverse",
               rank);
    if (!sends) break;
    WEFT_CHECK(send->dtype == receive->dtype && send->count == receive->count,
               "rank {} sends {}[{}] to itself and receives {}[{}]", rank, name(send->dtype),
               send->count, name(receive->dtype), receive->count);
    if (send->bytes() > 0) std::memmove(receive->data, send->data, send->bytes());
    ++send;
    ++receive;
  }
  std::erase_if(messages, [rank](const Message& m) { return m.peer == rank; });
}

bool can_add(DType t) {
  return t == DType::f32 || t == DType::f64 || t == DType::bf16 || t == DType::f16;
}

class SelfCommunicator final : public HostCommunicator {
 public:
  explicit SelfCommunicator(const std::string& axis) : HostCommunicator(0, 1, axis) {}

 protected:
  void execute(const Call& call) override {
    WEFT_CHECK(false, "{} of one rank needs no transport", to_string(call.header));
  }
  void execute_exchange(std::span<const Message> messages, int64_t) override {
    WEFT_CHECK(false, "{} messages leave a group of one rank", messages.size());
  }
};

}  // namespace

HostCommunicator::HostCommunicator(int rank, int size, std::string axis)
    : rank_(rank), size_(size), axis_(std::move(axis)) {
  WEFT_CHECK(0 <= rank && rank < size, "rank {} is not in a group of {}", rank, size);
}

void HostCommunicator::enqueue(CallHeader header, void* in, void* out, Stream& stream) {
  header.sequence = calls_++;
  if (size_ == 1) {
    if (in == out || header.count == 0) return;
    cpu_stream(stream).run([=] { std::memcpy(out, in, header.bytes()); });
    return;
  }
  const Call call{header, in, out};
  cpu_stream(stream).run([this, call] { execute(call); });
}

void HostCommunicator::all_reduce(const Tensor& inout, ReduceOp op, Stream& stream) {
  const DType t = inout.dtype();
  WEFT_CHECK(can_add(t) || t == DType::i64,
             "all_reduce on axis {} takes f32, f64, bf16, f16 or i64, not {}", axis_,
             to_string(inout));
  enqueue({CommOp::all_reduce, t, op, 0, inout.elements(), 0}, inout.raw(), inout.raw(), stream);
}

void HostCommunicator::reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream) {
  const DType t = out.dtype();
  WEFT_CHECK(in.dtype() == t && can_add(t),
             "reduce_scatter on axis {} takes f32, f64, bf16 or f16, not {} into {}", axis_,
             to_string(in), to_string(out));
  WEFT_CHECK(in.elements() == size_ * out.elements(), "reduce_scatter of {} ranks: {} into {}",
             size_, to_string(in), to_string(out));
  enqueue({CommOp::reduce_scatter, t, ReduceOp::sum, 0, out.elements(), 0}, in.raw(), out.raw(),
          stream);
}

void HostCommunicator::all_gather(const Tensor& in, const Tensor& out, Stream& stream) {
  WEFT_CHECK(in.dtype() == out.dtype() && out.elements() == size_ * in.elements(),
             "all_gather of {} ranks: {} into {}", size_, to_string(in), to_string(out));
  enqueue({CommOp::all_gather, in.dtype(), ReduceOp::sum, 0, in.elements(), 0}, in.raw(), out.raw(),
          stream);
}

void HostCommunicator::broadcast(const Tensor& inout, int root, Stream& stream) {
  WEFT_CHECK(0 <= root && root < size_, "broadcast from rank {} of {}", root, size_);
  enqueue({CommOp::broadcast, inout.dtype(), ReduceOp::sum, root, inout.elements(), 0}, inout.raw(),
          inout.raw(), stream);
}

void HostCommunicator::exchange(std::span<const P2P> messages, Stream& stream) {
  if (messages.empty()) return;
  std::vector<Message>* list = lists_.take();
  for (const P2P& m : messages) {
    WEFT_CHECK(0 <= m.peer && m.peer < size_, "exchange with rank {} of {}", m.peer, size_);
    list->push_back({m.kind, m.tensor.dtype(), m.peer, m.tensor.elements(), m.tensor.raw()});
  }
  const int64_t sequence = exchanges_++;
  cpu_stream(stream).run([this, list, sequence] {
    const auto give_back = [this](std::vector<Message>* l) { lists_.give_back(l); };
    const std::unique_ptr<std::vector<Message>, decltype(give_back)> guard(list, give_back);
    run_exchange(*list, sequence);
  });
}

void HostCommunicator::run_exchange(std::vector<Message>& messages, int64_t sequence) {
  settle_self_messages(messages, rank_);
  if (!messages.empty()) execute_exchange(messages, sequence);
}

void HostCommunicator::barrier() {
  CallHeader header;
  header.sequence = calls_++;
  if (size_ > 1) execute(Call{header});
}

std::vector<Message>* HostCommunicator::MessageLists::take() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) {
    all_.push_back(std::make_unique<std::vector<Message>>());
    free_.reserve(all_.size());
    return all_.back().get();
  }
  std::vector<Message>* list = free_.back();
  free_.pop_back();
  return list;
}

void HostCommunicator::MessageLists::give_back(std::vector<Message>* list) {
  list->clear();
  const std::lock_guard lock(mutex_);
  free_.push_back(list);
}

std::unique_ptr<Communicator> make_self_communicator(const std::string& axis) {
  return std::make_unique<SelfCommunicator>(axis);
}

}  // namespace weft
