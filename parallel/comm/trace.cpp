#include "parallel/comm/trace.h"

#include "core/base/error.h"

namespace weft {
namespace {

class TracedCommunicator final : public Communicator {
 public:
  TracedCommunicator(std::unique_ptr<Communicator> inner, CommObserver& observer)
      : inner_(std::move(inner)), observer_(observer) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  const std::string& axis() const override { return inner_->axis(); }

  void all_reduce(const Tensor& inout, ReduceOp op, Stream& stream) override {
    tell(CommOp::all_reduce, inout.bytes(), &stream,
         [&] { inner_->all_reduce(inout, op, stream); });
  }
  void reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream) override {
    tell(CommOp::reduce_scatter, in.bytes(), &stream,
         [&] { inner_->reduce_scatter(in, out, stream); });
  }
  void all_gather(const Tensor& in, const Tensor& out, Stream& stream) override {
    tell(CommOp::all_gather, out.bytes(), &stream, [&] { inner_->all_gather(in, out, stream); });
  }
  void broadcast(const Tensor& inout, int root, Stream& stream) override {
    tell(CommOp::broadcast, inout.bytes(), &stream,
         [&] { inner_->broadcast(inout, root, stream); });
  }
  void exchange(std::span<const P2P> messages, Stream& stream) override {
    size_t sent = 0;
    for (const P2P& m : messages) {
      if (m.kind == P2P::Kind::send && m.peer != rank()) sent += m.tensor.bytes();
    }
    tell(CommOp::exchange, sent, &stream, [&] { inner_->exchange(messages, stream); });
  }
  void barrier() override {
    tell(CommOp::barrier, 0, nullptr, [&] { inner_->barrier(); });
  }
  void check() override { inner_->check(); }

 private:
  template <typename Body>
  void tell(CommOp op, size_t bytes, Stream* stream, const Body& body) {
    if (size() == 1) return body();
    const CommCall call{axis(), op, static_cast<int64_t>(bytes)};
    observer_.before(call, stream);
    body();
    observer_.after(call, stream);
  }

  std::unique_ptr<Communicator> inner_;
  CommObserver& observer_;
};

class CountingCommunicator final : public Communicator {
 public:
  CountingCommunicator(std::string axis, int rank, int size)
      : axis_(std::move(axis)), rank_(rank), size_(size) {
    WEFT_CHECK(0 <= rank && rank < size, "rank {} is not in a group of {}", rank, size);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& axis() const override { return axis_; }
  void all_reduce(const Tensor&, ReduceOp, Stream&) override {}
  void reduce_scatter(const Tensor&, const Tensor&, Stream&) override {}
  void all_gather(const Tensor&, const Tensor&, Stream&) override {}
  void broadcast(const Tensor&, int, Stream&) override {}
  void exchange(std::span<const P2P>, Stream&) override {}
  void barrier() override {}

 private:
  std::string axis_;
  int rank_;
  int size_;
};

}  // namespace

void CommTrace::before(const CommCall& call, Stream*) {
  const std::lock_guard lock(mutex_);
  Row& row = rows_[{call.axis, call.op}];
  ++row.calls;
  row.payload_bytes += call.payload_bytes;
}

CommTrace::Rows CommTrace::rows() const {
  const std::lock_guard lock(mutex_);
  return rows_;
}

CommTrace::Row CommTrace::row(const std::string& axis, CommOp op) const {
  const std::lock_guard lock(mutex_);
  const auto found = rows_.find({axis, op});
  return found == rows_.end() ? Row{} : found->second;
}

int64_t CommTrace::payload_bytes() const {
  const std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const auto& [key, row] : rows_) bytes += row.payload_bytes;
  return bytes;
}

void CommTrace::clear() {
  const std::lock_guard lock(mutex_);
  rows_.clear();
}

std::unique_ptr<Communicator> make_traced(std::unique_ptr<Communicator> inner,
                                          CommObserver& observer) {
  return std::make_unique<TracedCommunicator>(std::move(inner), observer);
}

std::unique_ptr<Communicator> make_counting_communicator(const std::string& axis, int rank,
                                                         int size) {
  return std::make_unique<CountingCommunicator>(axis, rank, size);
}

}  // namespace weft
