#include "launch/step/model_partition.h"

#include "core/model/gpt_specs.h"
#include "parallel/pipeline/partition.h"

namespace weft {

GptPartition model_partition(const RunConfig& config) {
  const Chain chain = config.pipeline.chain(static_cast<int>(config.mesh.pp));
  if (!config.pipeline.layers.empty()) return GptPartition(config.pipeline.layers, chain);
  const GptConfig& m = config.model;
  const std::vector<ParamSpec> specs = gpt_specs(m);
  // The blocks are alike: products with weights, and the causal half of scores and weighted sums.
  const double block = products_per_token(specs, 1) +
                       static_cast<double>(m.width) * static_cast<double>(config.sequence_length());
  const double head = products_per_token(specs, m.layers + 1);
  return GptPartition(balance_blocks(m.layers, chain.parts(), {.block = block, .head = head}),
                      chain);
}

}  // namespace weft
