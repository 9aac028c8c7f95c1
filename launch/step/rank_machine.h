// RankMachine: what one rank computes on and talks through, made as its configuration says.
#pragma once

#include <memory>

#include "launch/config/run_config.h"
#include "launch/step/engine.h"
#include "launch/step/require_memory.h"

namespace weft {

struct RankMachine {
  // `config` has passed cross_check; `threads` is the number of compute threads of a CPU rank.
  // Throws Error{environment} where there is no such device, where the calling thread does not get
  // its threads, or where products computed by them are wrong. Collective when ranks compute on
  // GPUs; the bootstrap outlives it. The calling thread is the one that uses compute.
  RankMachine(const RunConfig& config, int threads, Bootstrap& bootstrap);

  // What splits off the groups of ranks that talk about memory of the device.
  Bootstrap& groups() { return gpu_groups ? *gpu_groups : bootstrap; }
  // What this host and this rank's GPU have free now.
  MemoryOnOffer memory_on_offer() const;
  // For an engine; `mesh` and `ops`, which may be an observed form of this one's, are borrowed too.
  // Whoever looks at single operations takes the recorder out.
  RankResources resources(Mesh& mesh, Ops& with);

  Bootstrap& bootstrap;
  int ranks_per_device;
  std::unique_ptr<Device> device;
  std::unique_ptr<Stream> compute;
  std::unique_ptr<Stream> communication;
  PerAxis<std::unique_ptr<Stream>> sides;  // of the axes that talk within layers
  std::unique_ptr<Ops> ops;
  std::unique_ptr<Recorder> recorder;     // with cuda.graphs
  std::unique_ptr<Bootstrap> gpu_groups;  // where several ranks compute on GPUs
};

}  // namespace weft
