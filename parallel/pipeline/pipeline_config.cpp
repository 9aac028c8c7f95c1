#include "parallel/pipeline/pipeline_config.h"

namespace weft {

void PipelineConfig::fields(FieldList& list) {
  list.key("schedule", schedule,
           "Order of forwards and backwards on each stage: docs/pipeline.md has the pictures.");
  list.key_auto("chunks", chunks, between(1, 64), "chunks", "the fewest that the schedule takes",
                "Parts of the model on each stage.");
  list.key("layers", layers, between(0, 10000), "blocks",
           "Blocks of each part of the model in order, pp * chunks numbers; empty balances them "
           "by cost, embedding and head counted.");
}

}  // namespace weft
