// What one rank saw of the steps of a layout, and how the ranks' parts become whole tensors again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/mesh/placement.h"
#include "launch/verify/fault.h"
#include "launch/verify/layout_run.h"

namespace weft {

// What one rank holds of a logical tensor.
struct Piece {
  Region region;
  bool owner;  // of all that hold these elements one is
  Values values;
};

struct RankTrace {
  std::vector<Piece> initial, gradients, trained, moments;
  std::vector<double> losses, grad_norms;
  CallCounts calls;
};

// A trace as a text of bytes and back, bit for bit, between processes of one build.
std::string to_bytes(const RankTrace& trace);
RankTrace rank_trace_of(const std::string& bytes);

// The traces of all ranks, in rank order, seen as one.
LayoutTrace assemble(const std::vector<RankTrace>& ranks);

}  // namespace weft
