// Call: one collective as a plain value, the same on every transport and, in its Header, on the
// wire. Ranks compare Headers before they touch data, so that a rank that makes another call is
// named instead of corrupting somebody's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/base/dtype.h"
#include "core/mesh/communicator.h"

namespace weft {

inline std::byte* at(void* base, size_t bytes) { return static_cast<std::byte*>(base) + bytes; }

enum class CommOp : int32_t {
  all_reduce,
  reduce_scatter,
  all_gather,
  broadcast,
  exchange,
  barrier
};

std::string_view name(CommOp op);

// What all ranks of a group must agree on. `count` is the number of elements of all_reduce and
// broadcast, and of one rank's block for reduce_scatter and all_gather.
struct CallHeader {
  CommOp op = CommOp::barrier;
  DType dtype = DType::u8;
  ReduceOp reduce = ReduceOp::sum;
  int32_t root = 0;
  int64_t count = 0;
  int64_t sequence = 0;  // calls made on this communicator before this one

  size_t element_bytes() const { return size_of(dtype); }
  size_t bytes() const { return static_cast<size_t>(count) * element_bytes(); }
  bool operator==(const CallHeader&) const = default;
};

struct Call {
  CallHeader header;
  void* in = nullptr;
  void* out = nullptr;
};

// One message of an exchange, resolved to host memory.
struct Message {
  P2P::Kind kind = P2P::Kind::send;
  DType dtype = DType::u8;
  int32_t peer = 0;
  int64_t count = 0;
  void* data = nullptr;

  size_t bytes() const { return static_cast<size_t>(count) * size_of(dtype); }
};

std::string to_string(const CallHeader& header);  // "all_reduce sum f32[1024] (call 17)"

}  // namespace weft
