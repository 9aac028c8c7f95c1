#include "launch/step/snapshot.h"

#include <cmath>

#include "core/base/error.h"
#include "launch/step/run_state.h"

namespace weft {

void Snapshot::allocate(Arena& arena, const ParameterSet& parameters, const Optimizer& optimizer) {
  rooms_.clear();
  for (const Shard& shard : shards_of(parameters, optimizer)) {
    rooms_.push_back(arena.allocate({shard.box.elements()}, shard.dtype));
  }
}

std::vector<Shard> Snapshot::take(std::vector<Shard> live, Device& device, Stream& stream) {
  WEFT_CHECK(live.size() == rooms_.size(), "{} shards, a snapshot of {}", live.size(),
             rooms_.size());
  for (size_t i = 0; i < live.size(); ++i) {
    device.copy_to_host(rooms_[i].raw(), live[i].data, rooms_[i].bytes(), stream);
    live[i].data = rooms_[i].raw();
  }
  return live;
}

void require_room(size_t bytes, const CheckpointConfig& checkpoint) {
  constexpr double kMib = 1 << 20;
  if (!checkpoint.memory_mib || bytes <= static_cast<size_t>(*checkpoint.memory_mib) << 20) return;
  fail(ErrorKind::config,
       "checkpoint.memory_mib: a rank's copy of its part of a checkpoint takes {:.1f} MiB, {} are "
       "allowed; allow {:.0f}, share the optimizer state out (mesh.zero 1), or set "
       "checkpoint.async to false",
       static_cast<double>(bytes) / kMib, *checkpoint.memory_mib,
       std::ceil(static_cast<double>(bytes) / kMib));
}

}  // namespace weft
