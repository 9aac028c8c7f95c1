#include "core/model/gpt_partition.h"

#include "core/base/error.h"

namespace weft {

GptPartition::GptPartition(std::vector<int64_t> blocks, int stages) : stages_(stages) {
  WEFT_CHECK(stages >= 1 && !blocks.empty() && blocks.size() % static_cast<size_t>(stages) == 0,
             "{} parts of a model on {} stages", blocks.size(), stages);
  int64_t first = 0;
  for (const int64_t count : blocks) {
    WEFT_CHECK(count >= 0, "a part of {} blocks", count);
    parts_.push_back({first, first + count});
    first += count;
  }
  parts_.front().embeds = true;
  parts_.back().has_head = true;
}

int GptPartition::stage_of_unit(int64_t unit) const {
  WEFT_CHECK(0 <= unit && unit <= head_unit(), "unit {} of a model of {} units", unit,
             head_unit() + 1);
  if (unit == 0) return 0;
  if (unit == head_unit()) return stages_ - 1;
  size_t v = 0;
  while (parts_[v].end_block < unit) ++v;  // block unit - 1
  return static_cast<int>(v) % stages_;
}

}  // namespace weft
