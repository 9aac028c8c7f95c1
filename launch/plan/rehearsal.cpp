#include "launch/plan/rehearsal.h"

#include "core/backends/backends.h"
#include "core/device/cpu/counting_device.h"
#include "launch/step/engine.h"

namespace weft {

Rehearsal rehearse(const RunConfig& config, const MeshShape& mesh_shape, int rank) {
  CommTrace trace;
  Mesh mesh(
      mesh_shape, rank,
      [&](const std::string& axis, int member, int size) {
        return make_traced(make_counting_communicator(axis, member, size), trace);
      },
      config.pipeline.chain_shape());
  const std::unique_ptr<Device> device = make_counting_device();
  const auto compute = device->make_stream(StreamKind::compute);
  const auto communication = device->make_stream(StreamKind::communication);
  const std::unique_ptr<WorkingMemory> needs =
      make_working_memory({.kind = config.device,
                           .threads = static_cast<int>(config.cpu.threads.value_or(1)),
                           .bf16_products = config.cpu.bf16_products,
                           .deterministic = config.determinism != Determinism::none});
  const std::unique_ptr<Ops> ops = make_counting_ops(*needs);
  Engine engine(config,
                {.mesh = mesh,
                 .device = *device,
                 .compute = *compute,
                 .communication = *communication,
                 .ops = *ops},
                [](const std::vector<SegmentBytes>&) {});
  const FillSample nothing = [](int64_t, std::span<int32_t>, std::span<int32_t>) {};
  trace.clear();
  engine.step(1, 0.0, 0, nothing, false);
  Rehearsal result{.coord = mesh.coord(), .memory = engine.memory(), .communication = trace.rows()};
  for (const auto& p : engine.parameters()) result.parameters += p->local.elements();
  return result;
}

std::vector<Rehearsal> rehearse_stages(const RunConfig& config, const MeshShape& mesh) {
  std::vector<Rehearsal> stages;
  for (int stage = 0; stage < mesh.pp; ++stage) {
    stages.push_back(rehearse(config, mesh, rank_of({.pp = stage}, mesh)));
  }
  return stages;
}

}  // namespace weft
