// Whether the disk has room for the checkpoints that a run is going to keep.
#pragma once

#include <cstdint>
#include <string>

#include "core/mesh/parameter.h"
#include "launch/config/run_config.h"
#include "optim/optimizer.h"

namespace weft {

// About what one checkpoint takes of the model of these parameters, of which other stages may hold
// more of the kind: weights and optimizer states, and what says of each of its boxes, as many as
// all ranks' shards_of(), where and what it is.
int64_t checkpoint_bytes(const ParameterSet& parameters, const Optimizer& optimizer, int64_t boxes);

// How many checkpoints are there at once at most, in a run that goes on from `step` to `last`:
// old ones go when the new one is there.
int64_t most_checkpoints(const RunConfig& config, int64_t step, int64_t last);

// A line with the numbers when `free` bytes are too few for `copies` checkpoints of `bytes`, of
// which `present` are there already; else "".
std::string room_notice(const std::string& directory, int64_t free, int64_t copies, int64_t present,
                        int64_t bytes);

// The same of the run's checkpoint directory as it is now, which exists. "" when the file system
// does not say how much is free.
std::string room_notice(const RunConfig& config, int64_t copies, int64_t bytes);

}  // namespace weft
