#include "launch/verify/layout_run.h"

#include <fmt/format.h>

#include <algorithm>

#include "launch/step/rank_machine.h"
#include "launch/verify/rank_trace.h"
#include "optim/schedule.h"
#include "parallel/comm/bootstrap.h"

namespace weft {
namespace {

// Elements `range` of a parameter or of something like it, and whether the ranks of the gradient
// group hold the same.
struct Held {
  Tensor elements;
  ElementRange range;
  bool replicated;
};

// Brings tensors of a rank to the host.
struct Reader {
  Device& device;
  Stream& stream;

  Values read(const Tensor& t) const {
    Values values(static_cast<size_t>(t.elements()));
    if (t.dtype() == DType::f32) {
      device.copy_to_host(values.data(), t.raw(), t.bytes(), stream);
      stream.synchronize();
      return values;
    }
    WEFT_CHECK(t.dtype() == DType::bf16, "verify reads f32 and bf16, not {}", to_string(t));
    std::vector<Bf16> stored(values.size());
    device.copy_to_host(stored.data(), t.raw(), t.bytes(), stream);
    stream.synchronize();
    std::ranges::transform(stored, values.begin(), [](Bf16 v) { return from_bf16(v.bits); });
    return values;
  }
};

// The pieces of `held_of(parameter)` for each parameter of the set.
template <typename HeldOf>
std::vector<Piece> pieces(ParameterSet& set, const Reader& reader, const HeldOf& held_of) {
  std::vector<Piece> all;
  for (const auto& p : set) {
    const Held held = held_of(*p);
    const AxisSet sharing = held.replicated ? AxisSet{} : replica_axes(p->spec);
    const bool owner = is_owner(p->spec, set.coord(), every_axis() - sharing);
    for (const Region& r : clip(regions(p->spec, set.mesh(), set.coord()), held.range)) {
      const int64_t begin = r.local_begin - held.range.begin;
      all.push_back(
          {r, owner, reader.read(held.elements.slice(begin, begin + r.extent.elements()))});
    }
  }
  return all;
}

RankTrace run_rank(const RunConfig& config, const Layout& layout, int64_t steps,
                   const FillSample& fill, const std::optional<Fault>& fault,
                   Bootstrap& bootstrap) {
  RankTrace trace;
  FaultInjector faults(mesh_shape(layout), fault, trace.calls);
  RankMachine machine(config, 1, bootstrap);
  const auto wrap = [&](std::unique_ptr<Communicator> inner, const std::vector<int>& group) {
    return faults.wrap(std::move(inner), group);
  };
  Mesh mesh(machine.groups(), mesh_shape(layout), wrap, config.pipeline.chain_shape());
  Engine engine(config, machine.resources(mesh, *machine.ops),
                [](const std::vector<SegmentBytes>&) {});
  const bool sharded = config.mesh.zero > 0;
  const auto value = [&](const Parameter& p) {
    const ParameterSet::Values kept = engine.parameters().kept_values(p);
    return Held{kept.elements, kept.range, engine.parameters().keeps_all_values()};
  };
  const auto grad = [&](const Parameter& p) { return Held{p.own_grad, p.own, !sharded}; };
  const auto moment = [&](const Parameter& p) {
    return Held{engine.optimizer().states(p).front().own, p.own, !sharded};
  };
  const Reader reader{*machine.device, *machine.compute};
  trace.initial = pieces(engine.parameters(), reader, value);
  // Of a batch that no step sees: what is left of it in memory cannot stand in for what a lost
  // collective should have brought.
  trace.losses.push_back(engine.gradients(steps * config.train.batch_size, fill));
  trace.gradients = pieces(engine.parameters(), reader, grad);
  engine.clear_gradients();
  for (int64_t update = 1; update <= steps; ++update) {
    const double lr = learning_rate(config.schedule, update, config.train.steps);
    const StepResult result =
        engine.step(update, lr, (update - 1) * config.train.batch_size, fill, false);
    trace.losses.push_back(result.loss);
    trace.grad_norms.push_back(result.grad_norm);
  }
  trace.trained = pieces(engine.parameters(), reader, value);
  trace.moments = pieces(engine.parameters(), reader, moment);
  return trace;
}

}  // namespace

std::string to_string(const Layout& layout) {
  std::string text = fmt::format("dp {} tp {} cp {} micro-batch {} zero {}", layout.dp, layout.tp,
                                 layout.cp, layout.micro_batch_size, layout.zero);
  if (layout.pp > 1) text += fmt::format(" pp {} {}", layout.pp, name(layout.schedule));
  if (layout.recompute != Recompute::none) {
    text += fmt::format(" recompute {}", enum_name(layout.recompute));
  }
  return text;
}

MeshShape mesh_shape(const Layout& layout) {
  return {.dp = layout.dp, .cp = layout.cp, .tp = layout.tp, .pp = layout.pp};
}

RunConfig with_layout(RunConfig config, const Layout& layout) {
  config.mesh.dp = layout.dp;
  config.mesh.tp = layout.tp;
  config.mesh.cp = layout.cp;
  config.mesh.zero = layout.zero;
  config.mesh.pp = layout.pp;
  config.pipeline = {.schedule = layout.schedule, .chunks = {}, .layers = {}};
  config.train.micro_batch_size = layout.micro_batch_size;
  config.recompute.policy = layout.recompute;
  return config;
}

LayoutTrace run_layout(const RunConfig& given, const Layout& layout, int64_t steps,
                       const FillSample& fill, const std::optional<Fault>& fault, Bootstrap* job) {
  const RunConfig config = with_layout(given, layout);
  std::vector<RankTrace> ranks(static_cast<size_t>(layout.ranks()));
  const auto run = [&](Bootstrap& bootstrap) {
    return run_rank(config, layout, steps, fill, fault, bootstrap);
  };
  if (job != nullptr) {
    const std::vector<std::string> traces = job->all_gather(to_bytes(run(*job)));
    std::ranges::transform(traces, ranks.begin(), rank_trace_of);
  } else {
    run_local_ranks(layout.ranks(), [&](Bootstrap& bootstrap) {
      ranks[static_cast<size_t>(bootstrap.rank())] = run(bootstrap);
    });
  }
  return assemble(ranks);
}

}  // namespace weft
