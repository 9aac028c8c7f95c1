// Which stage of the pipeline runs which blocks, as a configuration says.
#pragma once

#include "core/model/gpt_partition.h"
#include "launch/config/run_config.h"

namespace weft {

// The partition of config.model over mesh.pp stages of pipeline.chunks chunks: as pipeline.layers
// says, or balanced by the multiplications of forward, embedding and head counted. The
// configuration has passed cross_check.
GptPartition model_partition(const RunConfig& config);

}  // namespace weft
