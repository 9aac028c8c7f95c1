#include "parallel/comm/local/local_communicator.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "parallel/comm/blocks.h"
#include "parallel/comm/call.h"
#include "parallel/comm/fold.h"
#include "parallel/comm/host_communicator.h"

namespace weft {
namespace {

// Bytes that are folded and then copied to the peers while they are still in the cache.
constexpr size_t kPiece = size_t{64} << 10;

void copy_bytes(void* to, const void* from, size_t bytes) {
  if (bytes > 0 && to != from) std::memcpy(to, from, bytes);
}

class LocalCommunicator final : public HostCommunicator {
 public:
  LocalCommunicator(std::shared_ptr<LocalGroup> group, int rank, const std::string& axis)
      : HostCommunicator(rank, group->size(), axis),
        group_(std::move(group)),
        scratch_(size()),
        sources_(static_cast<size_t>(size())) {}

 protected:
  void execute(const Call& call) override {
    group_->open(rank(), call);
    switch (call.header.op) {
      case CommOp::all_reduce:
        reduce_own_block(call);
        break;
      case CommOp::reduce_scatter:
        fold_peers(static_cast<size_t>(rank()) * call.header.bytes(), call.header.count,
                   call.header, call.out);
        break;
      case CommOp::all_gather:
        gather(call);
        break;
      case CommOp::broadcast:
        copy_bytes(call.out, group_->call(call.header.root).in, call.header.bytes());
        break;
      case CommOp::barrier:
      case CommOp::exchange:
        break;
    }
    group_->close(rank());
  }

  void execute_exchange(std::span<const Message> messages, int64_t sequence) override {
    group_->exchange(rank(), messages, sequence);
  }

 private:
  // Block rank() of every rank's buffer is this rank's to read and write.
  void reduce_own_block(const Call& call) {
    const CallHeader& h = call.header;
    const Blocks blocks = Blocks::split(h.count, size());
    const auto piece = static_cast<int64_t>(kPiece / h.element_bytes());
    for (int64_t e = blocks.begin(rank()); e < blocks.end(rank()); e += piece) {
      const int64_t count = std::min(piece, blocks.end(rank()) - e);
      const size_t offset = static_cast<size_t>(e) * h.element_bytes();
      fold_peers(offset, count, h, at(call.out, offset));
      for (int p = 0; p < size(); ++p) {
        copy_bytes(at(group_->call(p).out, offset), at(call.out, offset),
                   static_cast<size_t>(count) * h.element_bytes());
      }
    }
  }

  void gather(const Call& call) {
    for (int p = 0; p < size(); ++p) {
      copy_bytes(at(call.out, static_cast<size_t>(p) * call.header.bytes()), group_->call(p).in,
                 call.header.bytes());
    }
  }

  // out = fold of `count` elements at byte `offset` of every rank's `in`.
  void fold_peers(size_t offset, int64_t count, const CallHeader& h, void* out) {
    for (int p = 0; p < size(); ++p) {
      sources_[static_cast<size_t>(p)] = at(group_->call(p).in, offset);
    }
    fold(sources_.data(), size(), out, count, h.dtype, h.reduce, scratch_);
  }

  std::shared_ptr<LocalGroup> group_;
  FoldScratch scratch_;
  std::vector<const void*> sources_;
};

}  // namespace

std::unique_ptr<Communicator> make_local_communicator(std::shared_ptr<LocalGroup> group, int rank,
                                                      const std::string& axis) {
  return std::make_unique<LocalCommunicator>(std::move(group), rank, axis);
}

}  // namespace weft
