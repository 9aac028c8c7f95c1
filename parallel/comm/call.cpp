#include "parallel/comm/call.h"

#include <fmt/format.h>

namespace weft {

std::string_view name(CommOp op) {
  switch (op) {
    case CommOp::all_reduce:
      return "all_reduce";
    case CommOp::reduce_scatter:
      return "reduce_scatter";
    case CommOp::all_gather:
      return "all_gather";
    case CommOp::broadcast:
      return "broadcast";
    case CommOp::exchange:
      return "exchange";
    case CommOp::barrier:
      return "barrier";
  }
  return "unknown call";
}

std::string to_string(const CallHeader& h) {
  if (h.op == CommOp::barrier) return fmt::format("barrier (call {})", h.sequence);
  std::string detail;
  if (h.op == CommOp::all_reduce) detail = h.reduce == ReduceOp::sum ? " sum" : " max";
  if (h.op == CommOp::broadcast) detail = fmt::format(" from rank {}", h.root);
  return fmt::format("{}{} {}[{}] (call {})", name(h.op), detail, name(h.dtype), h.count,
                     h.sequence);
}

}  // namespace weft
