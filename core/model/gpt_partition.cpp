#include "core/model/gpt_partition.h"

#include "core/base/error.h"

namespace weft {

GptPartition::GptPartition(const std::vector<int64_t>& blocks, const Chain& chain) : chain_(chain) {
  WEFT_CHECK(chain.parts() >= 1 && blocks.size() == static_cast<size_t>(chain.parts()),
             "{} parts of a model on {} stages of {} chunks", blocks.size(), chain.stages,
             chain.chunks);
  int64_t first = 0;
  for (const int64_t count : blocks) {
    WEFT_CHECK(count >= 0, "a part of {} blocks", count);
    parts_.push_back({first, first + count});
    first += count;
  }
  parts_.front().embeds = true;
  parts_.back().has_head = true;
}

Chain::Place GptPartition::place_of_unit(int64_t unit) const {
  WEFT_CHECK(0 <= unit && unit <= head_unit(), "unit {} of a model of {} units", unit,
             head_unit() + 1);
  if (unit == 0) return chain_.place(0);
  if (unit == head_unit()) return chain_.place(chain_.parts() - 1);
  int part = 0;
  while (parts_[static_cast<size_t>(part)].end_block < unit) ++part;  // block unit - 1
  return chain_.place(part);
}

}  // namespace weft
