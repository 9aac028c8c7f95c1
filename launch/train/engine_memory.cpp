#include "launch/train/engine_memory.h"

namespace weft {
namespace {

size_t planned(const Arena& arena) { return arena.counting() ? arena.peak() : arena.capacity(); }

}  // namespace

// The snapshot is written to disk: it lies in host memory, whatever the device.
EngineMemory::EngineMemory(Device& device, const EngineMemory& plan, int slots)
    : weights("weights", device, plan.weights.peak()),
      gradients("gradients", device, plan.gradients.peak()),
      optimizer("optimizer", device, plan.optimizer.peak()),
      communication("communication", device, plan.communication.peak()),
      workspace("workspace", device, plan.workspace.peak()),
      batch("batch", device, plan.batch.peak()),
      snapshot("checkpoint", device.has_memory() ? *make_device({}) : device,
               plan.snapshot.peak()) {
  for (int i = 0; i < slots; ++i) units.emplace_back(device, plan.units.front());
}

std::vector<SegmentBytes> EngineMemory::segments(int slots, size_t operations) const {
  const auto count = static_cast<size_t>(slots);
  const UnitMemory& unit = units.front();
  std::vector<SegmentBytes> out;
  for (const Arena* a : {&weights, &gradients, &optimizer}) out.push_back({a->name(), planned(*a)});
  for (const Arena* a : {&unit.activations, &unit.deferred}) {
    out.push_back({a->name(), planned(*a) * count});
  }
  for (const Arena* a : {&communication, &workspace}) out.push_back({a->name(), planned(*a)});
  out.push_back({"operations", operations});
  out.push_back({batch.name(), planned(batch)});
  out.push_back({snapshot.name(), planned(snapshot), true});
  return out;
}

}  // namespace weft
