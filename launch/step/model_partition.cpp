#include "launch/step/model_partition.h"

#include "parallel/pipeline/partition.h"

namespace weft {

GptPartition model_partition(const RunConfig& config) {
  const auto stages = static_cast<int>(config.mesh.pp);
  if (!config.pipeline.layers.empty()) return GptPartition(config.pipeline.layers, stages);
  const GptConfig& m = config.model;
  const auto width = static_cast<double>(m.width);
  // Per token: four projections and two of the MLP; the causal half of scores and weighted sums.
  const double block = 4 * width * width + 2 * width * static_cast<double>(m.mlp()) +
                       width * static_cast<double>(config.sequence_length());
  const double head = width * static_cast<double>(m.vocab_size.value_or(0));
  const int parts = stages * static_cast<int>(config.pipeline.chunk_count());
  return GptPartition(balance_blocks(m.layers, parts, {.block = block, .head = head}), stages);
}

}  // namespace weft
