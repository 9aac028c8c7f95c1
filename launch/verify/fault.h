// Faults: collectives broken on purpose, for proving that a check would notice.
//
// Ranks that differ in their dp, cp or tp coordinate alone run the same program, and so make the
// same calls in their groups; ranks of other pipeline stages do not. A collective of a layout is
// therefore a call of a family of groups, named by their axis and stages, and a fault breaks it in
// all of them, on every rank.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fields.h"
#include "core/mesh/communicator.h"
#include "core/mesh/mesh_shape.h"

namespace weft {

enum class FaultKind {
  drop_collective,  // nothing is sent; what should have been written has a number of no meaning,
                    // but for sums in place, which stay each rank's own part
  skip_scale,       // a sum comes out as a mean: the factor that makes it one again is forgotten
  wrong_shard       // an all-gather or a reduce-scatter takes each rank's share for the next one's
};
constexpr int kFaultKinds = 3;
constexpr auto enum_names(FaultKind) {
  return named_values("drop-collective", "skip-scale", "wrong-shard");
}

struct Fault {
  FaultKind kind = FaultKind::drop_collective;
  std::string family;
  int64_t call = 0;  // number among the family's calls that the kind can break, from 0
};
// "call 3 of tp in stage 0".
std::string to_string(const Fault& fault);

// The calls of one rank, by family: how many each kind can break. Groups of one rank make none.
using CallCounts = std::map<std::string, std::array<int64_t, kFaultKinds>>;

// Every fault of a kind that a layout with these calls can have, in order of families and calls.
std::vector<Fault> faults_of(const CallCounts& calls, FaultKind kind);

// Wraps the communicators of one rank, in the order in which its mesh makes them, counts their
// calls into `calls` and breaks the one of `fault`, if any. Borrows both.
class FaultInjector {
 public:
  FaultInjector(const MeshShape& mesh, const std::optional<Fault>& fault, CallCounts& calls)
      : mesh_(mesh), fault_(fault), calls_(calls) {}

  // `ranks` are the world ranks of the group.
  std::unique_ptr<Communicator> wrap(std::unique_ptr<Communicator> inner,
                                     const std::vector<int>& ranks);

 private:
  MeshShape mesh_;
  const std::optional<Fault>& fault_;
  CallCounts& calls_;
  std::map<std::string, int> groups_;  // so far, of each name
};

}  // namespace weft
