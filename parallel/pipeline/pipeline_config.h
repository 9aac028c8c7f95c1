// PipelineConfig: how a pipeline runs its micro-batches and shares its blocks out.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/fields.h"
#include "parallel/pipeline/generators.h"

namespace weft {

struct PipelineConfig {
  ScheduleKind schedule = ScheduleKind::one_f_one_b;
  std::optional<int64_t> chunks;
  std::vector<int64_t> layers;

  // Chunks of each stage.
  int64_t chunk_count() const {
    return chunks.value_or(schedule == ScheduleKind::interleaved_1f1b ? 2 : 1);
  }

  void fields(FieldList& list) {
    list.key("schedule", schedule,
             "Order of forwards and backwards on each stage: docs/pipeline.md has the pictures.");
    list.key_auto("chunks", chunks, between(1, 64), "chunks", "2 when interleaved, otherwise 1",
                  "Parts of the model on each stage.");
    list.key("layers", layers, between(0, 10000), "blocks",
             "Blocks of each part of the model in order, pp * chunks numbers; empty balances them "
             "by cost, embedding and head counted.");
  }
};

}  // namespace weft
