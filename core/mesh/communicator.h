// Communicator: one ordered group of ranks and its collectives.
//
// Calls are asynchronous on the given Stream: buffers may be touched again when later work on that
// stream runs, and must stay alive until then. All ranks of the group make the same calls in the
// same order. Sums accumulate in f32 for f32, bf16 and f16 (which are rounded once, at the end),
// f64 for f64, as a fixed balanced binary tree over rank order ((r0+r1)+(r2+r3))..., the same on
// every transport, so the same ranks always give the same bits. A group of one rank does nothing.
//
// Errors: Error{peer} when another rank failed, made a different call, or did not answer within the
// deadline; the message names the op, its sequence number, the axis and the rank.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/tensor/tensor.h"

namespace weft {

enum class ReduceOp { sum, max };

// One message of an exchange. `tensor` is sent, or received into. Messages between two ranks match
// in the order both sides list them.
struct P2P {
  enum class Kind { send, receive };
  Kind kind;
  int peer;  // rank within the group
  Tensor tensor;
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual const std::string& axis() const = 0;  // "world", "dp", "tp", ...; for messages and traces

  // f32, f64, bf16, f16, i64; in place.
  virtual void all_reduce(const Tensor& inout, ReduceOp op, Stream& stream) = 0;
  // in: size() * n elements, out: n elements, the sum of everybody's block rank(). out may be block
  // rank() of in, not otherwise overlap it; in is destroyed. f32, f64, bf16, f16.
  virtual void reduce_scatter(const Tensor& in, const Tensor& out, Stream& stream) = 0;
  // in: n elements, out: size() * n elements in rank order. in may be block rank() of out.
  virtual void all_gather(const Tensor& in, const Tensor& out, Stream& stream) = 0;
  virtual void broadcast(const Tensor& inout, int root, Stream& stream) = 0;
  // All messages as one set: no order among them can deadlock. Copied before the call returns.
  virtual void exchange(std::span<const P2P> messages, Stream& stream) = 0;
  // Returns when every rank has called it. Blocks the calling thread; no stream may have unfinished
  // calls on this communicator.
  virtual void barrier() = 0;
  // Throws Error{peer} where a call that ended without an exception may have left its result
  // unfinished: collectives of GPUs that were given up. For after a stream was synchronized.
  virtual void check() {}
};

// The control plane: how the ranks of a job found each other. Small host messages only, called from
// the main thread, blocking.
class Bootstrap {
 public:
  virtual ~Bootstrap() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  virtual int local_rank() const = 0;  // rank among those on the same host
  virtual int local_size() const = 0;  // ranks on the same host
  virtual int ranks_in_process() const { return 1; }
  // How long calls that begin from now on wait for a rank, on the control plane and in all groups
  // that were and will be split off. The same on every rank.
  virtual void set_deadline(std::chrono::milliseconds) {}
  virtual void barrier() = 0;
  virtual std::string broadcast(const std::string& text, int root) = 0;
  // Everybody's text, in rank order.
  virtual std::vector<std::string> all_gather(const std::string& text) = 0;
  // A communicator over the ranks that pass the same color, ordered by key (then rank). Collective.
  virtual std::unique_ptr<Communicator> split(int color, int key, const std::string& axis) = 0;
};

}  // namespace weft
