#include "parallel/data/unit_gatherer.h"

#include <algorithm>

namespace weft {

UnitGatherer::UnitGatherer(ParameterSet& parameters, Mesh& mesh, Device& device,
                           Stream& communication)
    : parameters_(parameters),
      mesh_(mesh),
      communication_(communication),
      reusable_(device.make_event()) {
  for (Slot& slot : slots_) slot.gathered = device.make_event();
}

bool UnitGatherer::holds(int64_t unit) const {
  return std::ranges::any_of(parameters_.layout().buckets(),
                             [unit](const ShardLayout::Bucket& b) { return b.unit == unit; });
}

void UnitGatherer::gather(int64_t unit, Stream& stream) {
  // Everything that reads the slot's last unit has been enqueued on `stream` by now.
  stream.record(*reusable_);
  communication_.wait(*reusable_);
  const std::vector<ShardLayout::Bucket>& buckets = parameters_.layout().buckets();
  for (size_t b = 0; b < buckets.size(); ++b) {
    if (buckets[b].unit != unit) continue;
    const ParameterSet::BucketMemory& memory = parameters_.bucket(b);
    mesh_.group(buckets[b].replicas).all_gather(memory.own_values, memory.values, communication_);
  }
  Slot& slot = slot_of(unit);
  communication_.record(*slot.gathered);
  slot.unit = unit;
}

void UnitGatherer::fetch(int64_t unit, Stream& stream) {
  if (holds(unit) && slot_of(unit).unit != unit) gather(unit, stream);
}

void UnitGatherer::begin(int64_t micro_batches) { forwards_left_ = micro_batches; }

void UnitGatherer::before_unit(int64_t unit, Pass pass, Stream& stream) {
  if (unit == 0 && pass == Pass::backward) {
    if (forwards_left_ > 0) fetch(0, stream);  // for the next micro-batch
    return;
  }
  fetch(unit, stream);
  stream.wait(*slot_of(unit).gathered);
  if (pass == Pass::forward) {
    if (unit == 0) --forwards_left_;
    fetch(unit + 1, stream);
  } else if (unit > 1) {
    fetch(unit - 1, stream);
  }
}

void UnitGatherer::invalidate() {
  for (Slot& slot : slots_) slot.unit = kNone;
}

}  // namespace weft
