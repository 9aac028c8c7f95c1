#include "launch/verify/faulty_communicator.h"

#include <cstring>

#include "core/device/cpu/cpu_device.h"

namespace weft {
namespace {

class FaultyCommunicator final : public Communicator {
 public:
  FaultyCommunicator(std::unique_ptr<Communicator> inner, CallCounter& counter)
      : inner_(std::move(inner)), counter_(counter) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  const std::string& axis() const override { return inner_->axis(); }
  void all_reduce(const Tensor& inout, ReduceOp op, Stream& stream) override {
    if (made()) inner_->all_reduce(inout, op, stream);
  }
  void reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream) override {
    if (made()) inner_->reduce_scatter(in, out, stream);
  }
  void all_gather(const Tensor& in, const Tensor& out, Stream& stream) override {
    if (made()) {
      inner_->all_gather(in, out, stream);
    } else {
      spoil(out, stream);
    }
  }
  void broadcast(const Tensor& inout, int root, Stream& stream) override {
    if (made()) inner_->broadcast(inout, root, stream);
  }
  void exchange(std::span<const P2P> messages, Stream& stream) override {
    if (made()) inner_->exchange(messages, stream);
  }
  void barrier() override { inner_->barrier(); }

 private:
  bool made() { return inner_->size() == 1 || counter_.calls++ != counter_.drop; }

  // What was there before may be what would have arrived.
  static void spoil(const Tensor& tensor, Stream& stream) {
    cpu_stream(stream).run([data = tensor.raw(), bytes = tensor.bytes()] {
      std::memset(data, 0x3E, bytes);  // 0.186 in f32: nothing overflows
    });
  }

  std::unique_ptr<Communicator> inner_;
  CallCounter& counter_;
};

}  // namespace

std::unique_ptr<Communicator> make_faulty(std::unique_ptr<Communicator> inner,
                                          CallCounter& counter) {
  return std::make_unique<FaultyCommunicator>(std::move(inner), counter);
}

}  // namespace weft
