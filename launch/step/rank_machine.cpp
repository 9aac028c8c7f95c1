#include "launch/step/rank_machine.h"

#include <algorithm>

#include "core/backends/backends.h"
#include "core/ops/check_products.h"
#include "launch/host/machine.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/transports/transports.h"

namespace weft {

namespace {

Bootstrap& with_room(Bootstrap& job, int threads) {
  require_process_room(threads, job.ranks_in_process());
  return job;
}

PerAxis<std::unique_ptr<Stream>> make_sides(const MeshShape& mesh, Device& device) {
  PerAxis<std::unique_ptr<Stream>> sides;
  for (const AxisInfo& a : kAxes) {
    if (!a.layers || mesh.extent(a.axis) == 1) continue;
    sides[a.axis] = device.make_stream(StreamKind::communication);
  }
  return sides;
}

}  // namespace

RankMachine::RankMachine(const RunConfig& config, int threads, Bootstrap& job)
    : bootstrap(with_room(job, threads)),
      ranks_per_device(static_cast<int>(config.cuda.ranks_per_device)),
      device(make_device({.kind = config.device,
                          .threads = threads,
                          .bf16_products = config.cpu.bf16_products,
                          .local_rank = job.local_rank(),
                          .ranks_per_device = ranks_per_device,
                          .matmul_cache = config.cuda.matmul_cache.value_or(""),
                          .measure_matmuls = config.cuda.measure_matmuls,
                          .deterministic = config.determinism != Determinism::none})),
      compute(device->make_stream(StreamKind::compute)),
      communication(device->make_stream(StreamKind::communication)),
      sides(make_sides(config.mesh.shape(job.size()), *device)),
      ops(make_ops(*device)),
      recorder(config.cuda.graphs ? make_recorder(*device) : nullptr),
      gpu_groups(make_device_bootstrap(job, *device,
                                       {.deadline = std::chrono::seconds(config.comm.deadline)})) {
  job.set_deadline(std::chrono::seconds(config.comm.deadline));
  if (device->kind() != DeviceKind::cpu) return;
  const std::unique_ptr<Ops> checked = make_ops(*device);  // its working memory is not the plan's
  check_products(*device, *checked, *compute, DType::f32);
  if (config.compute_type() != DType::f32) {
    check_products(*device, *checked, *compute, config.compute_type());
  }
}

MemoryOnOffer RankMachine::memory_on_offer() const {
  const Machine machine = read_machine();
  const bool known = machine.memory_bytes > 0;
  MemoryOnOffer offer{
      .host_bytes = known ? std::max<int64_t>(1, machine.memory_available_bytes) : 0,
      .ranks_on_host = bootstrap.local_size(),
      .device_bytes = device->free_bytes(),
      .ranks_on_device = ranks_per_device};
  if (machine.process_limit) {
    offer.process_bytes = machine.process_limit->free_bytes;
    offer.process_limit = machine.process_limit->name;
    offer.ranks_in_process = bootstrap.ranks_in_process();
  }
  return offer;
}

RankResources RankMachine::resources(Mesh& mesh, Ops& with) {
  PerAxis<Stream*> side_streams;
  for (const AxisInfo& a : kAxes) side_streams[a.axis] = sides[a.axis].get();
  return {.mesh = mesh,
          .device = *device,
          .compute = *compute,
          .communication = *communication,
          .ops = with,
          .sides = side_streams,
          .recorder = recorder.get()};
}

}  // namespace weft
