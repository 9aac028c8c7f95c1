#include "launch/step/engine_memory.h"

namespace weft {
namespace {

size_t planned(const Arena& arena) { return arena.counting() ? arena.peak() : arena.capacity(); }

}  // namespace

// Where a plan is made nobody looks at a snapshot, which is as large as a rank's checkpoint.
EngineMemory::EngineMemory(Device& device, const EngineMemory& plan, int slots)
    : weights("weights", device, plan.weights.peak()),
      gradients("gradients", device, plan.gradients.peak()),
      optimizer("optimizer", device, plan.optimizer.peak()),
      communication("communication", device, plan.communication.peak()),
      workspace("workspace", device, plan.workspace.peak()),
      batch("batch", device, plan.batch.peak()),
      staging("staging", device.allocate_host(plan.staging.peak())),
      snapshot("checkpoint", device.has_memory() ? device.allocate_host(plan.snapshot.peak())
                                                 : device.allocate(plan.snapshot.peak())) {
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
  for (const Arena* a : {&staging, &snapshot}) out.push_back({a->name(), planned(*a), true});
  return out;
}

}  // namespace weft
