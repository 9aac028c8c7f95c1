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
  int64_t chunk_count() const { return chunks.value_or(traits(schedule).min_chunks); }
  ChainShape chain_shape() const { return traits(schedule).chain; }
  // How the parts of the model lie on `stages` stages.
  Chain chain(int stages) const { return {stages, static_cast<int>(chunk_count()), chain_shape()}; }

  void fields(FieldList& list);
};

}  // namespace weft
