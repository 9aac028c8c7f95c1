// EngineMemory: the arenas of a rank, counted in rehearsal, then made as large as they were found
// to be.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/model/gpt.h"
#include "core/nn/saved.h"
#include "core/tensor/arena.h"

namespace weft {

struct SegmentBytes {
  std::string name;  // "weights", "gradients", ...
  size_t bytes;
  bool of_host = false;  // in host memory, whatever the device
};

// What one unit in flight (a micro-batch on one chunk) keeps between its forward and its backward.
struct UnitMemory {
  UnitMemory() : activations("activations"), deferred("deferred"), saved(activations, deferred) {}
  UnitMemory(Device& device, const UnitMemory& plan)
      : activations("activations", device, plan.activations.peak()),
        deferred("deferred", device, plan.deferred.peak()),
        saved(activations, deferred) {}

  Arena activations, deferred;
  Saved saved;
  MicroBatch batch;
  Tensor in, grad;  // what forward and backward of the unit were given
};

struct EngineMemory {
  // Counting arenas, with one unit that stands for all.
  EngineMemory()
      : weights("weights"),
        gradients("gradients"),
        optimizer("optimizer"),
        communication("communication"),
        workspace("workspace"),
        batch("batch"),
        staging("staging"),
        snapshot("checkpoint"),
        units(1) {}
  // Real arenas as large as the peaks of `plan`, and `slots` units.
  EngineMemory(Device& device, const EngineMemory& plan, int slots);

  // By segment, with room for `slots` units and what operations need beside their tensors.
  std::vector<SegmentBytes> segments(int slots, size_t operations) const;

  Arena weights, gradients, optimizer, communication, workspace, batch;
  // In host memory that the device copies to and from by itself:
  Arena staging;   // inputs on their way to the device, results on their way from it
  Arena snapshot;  // what a checkpoint is written from while training goes on
  std::deque<UnitMemory> units;
};

}  // namespace weft
