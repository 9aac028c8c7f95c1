// Traced communicators tell an observer what they are asked to do; counting ones do nothing else.
// Together with CommTrace, which adds it up, they say what a rank would send on any mesh without a
// single peer:
//
//   CommTrace trace;
//   Mesh mesh(shape, rank, [&](auto& axis, int r, int n) {
//     return make_traced(make_counting_communicator(axis, r, n), trace);
//   });
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "core/mesh/communicator.h"
#include "parallel/comm/call.h"

namespace weft {

struct CommCall {
  const std::string& axis;
  CommOp op;
  // Bytes of the whole tensor: inout of all_reduce and broadcast, `in` of reduce_scatter, `out` of
  // all_gather, everything sent by an exchange.
  int64_t payload_bytes;
};

class CommObserver {
 public:
  virtual ~CommObserver() = default;
  // Called in the caller's thread around the enqueueing of a call. `stream` is null for a barrier.
  virtual void before(const CommCall& call, Stream* stream) = 0;
  virtual void after(const CommCall& call, Stream* stream) = 0;
};

// What one rank has called, by axis and op. Thread-safe.
class CommTrace final : public CommObserver {
 public:
  struct Row {
    int64_t calls = 0;
    int64_t payload_bytes = 0;
    bool operator==(const Row&) const = default;
  };
  using Rows = std::map<std::pair<std::string, CommOp>, Row>;

  void before(const CommCall& call, Stream* stream) override;
  void after(const CommCall&, Stream*) override {}
  Rows rows() const;  // rows that were called at least once
  Row row(const std::string& axis, CommOp op) const;
  int64_t payload_bytes() const;  // of all rows
  void clear();

 private:
  mutable std::mutex mutex_;
  Rows rows_;
};

// Passes every call on and tells `observer`, which must outlive the communicator. Groups of one
// rank send nothing and tell nothing.
std::unique_ptr<Communicator> make_traced(std::unique_ptr<Communicator> inner,
                                          CommObserver& observer);

// Takes every call and executes none; the tensors need no memory. For planners.
std::unique_ptr<Communicator> make_counting_communicator(const std::string& axis, int rank,
                                                         int size);

}  // namespace weft
