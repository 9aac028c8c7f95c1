// HostCommunicator: what all transports over host memory share. It checks the arguments, numbers
// the calls, enqueues them on the CPU stream and settles what needs no peer; a transport says how
// ranks meet.
//
// Threads: calls come from one thread at a time; execute() runs on the stream's thread. All calls
// on one communicator must be ordered among themselves: one stream, or several ordered by events.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/device/cpu/cpu_device.h"
#include "core/mesh/communicator.h"
#include "parallel/comm/call.h"

namespace weft {

class HostCommunicator : public Communicator {
 public:
  HostCommunicator(int rank, int size, std::string axis);

  int rank() const final { return rank_; }
  int size() const final { return size_; }
  const std::string& axis() const final { return axis_; }

  void all_reduce(const Tensor& inout, ReduceOp op, Stream& stream) final;
  void reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream) final;
  void all_gather(const Tensor& in, const Tensor& out, Stream& stream) final;
  void broadcast(const Tensor& inout, int root, Stream& stream) final;
  void exchange(std::span<const P2P> messages, Stream& stream) final;
  void barrier() final;

 protected:
  // Both are called on groups of at least two ranks, return when the buffers are this rank's again,
  // and throw Error{peer}. A transport that has thrown once throws at every later call.
  virtual void execute(const Call& call) = 0;
  // Messages to and from other ranks only; at least one.
  virtual void execute_exchange(std::span<const Message> messages, int64_t sequence) = 0;

 private:
  // Message lists of exchanges that have not run yet; used again, so that steady state allocates
  // nothing. Filled by the caller's thread, given back by the stream's.
  class MessageLists {
   public:
    std::vector<Message>* take();
    void give_back(std::vector<Message>* list);

   private:
    std::mutex mutex_;
    std::vector<std::unique_ptr<std::vector<Message>>> all_;
    std::vector<std::vector<Message>*> free_;
  };

  void enqueue(CallHeader header, void* in, void* out, Stream& stream);
  void run_exchange(std::vector<Message>& messages, int64_t sequence);

  int rank_;
  int size_;
  std::string axis_;
  int64_t calls_ = 0;
  int64_t exchanges_ = 0;  // apart: ranks of a group take part in different numbers of exchanges
  MessageLists lists_;
};

// Group of the one rank that calls: copies where in and out differ, otherwise nothing.
std::unique_ptr<Communicator> make_self_communicator(const std::string& axis);

}  // namespace weft
