// Snapshot: a copy of what this rank writes into a checkpoint, taken at once, so that training may
// go on while it is digested and written.
#pragma once

#include <vector>

#include "core/checkpoint/checkpoint.h"
#include "core/mesh/parameter.h"
#include "core/tensor/arena.h"
#include "launch/config/run_config.h"
#include "optim/optimizer.h"

namespace weft {

class Snapshot {
 public:
  // Takes room in `arena`, host memory that outlives it, for what shards_of gives for these. They
  // have been allocated themselves.
  void allocate(Arena& arena, const ParameterSet& parameters, const Optimizer& optimizer);

  // Copies the data of `live`, shards_of the same, ordered on `stream`. Returns the shards with
  // their data in the snapshot, which is theirs until the next take().
  std::vector<Shard> take(std::vector<Shard> live, Device& device, Stream& stream);

 private:
  std::vector<Tensor> rooms_;  // per shard
};

// Throws Error{config} when a snapshot of so many bytes is more than the configuration allows.
void require_room(size_t bytes, const CheckpointConfig& checkpoint);

}  // namespace weft
