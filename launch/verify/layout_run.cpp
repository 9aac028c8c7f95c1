#include "launch/verify/layout_run.h"

#include <fmt/format.h>

#include <cstring>

#include "launch/verify/faulty_communicator.h"
#include "optim/schedule.h"
#include "parallel/comm/bootstrap.h"

namespace weft {
namespace {

// What one rank holds of a logical tensor.
struct Piece {
  Region region;
  bool owner;
  Values values;
};

struct RankTrace {
  std::vector<Piece> initial, gradients, trained, exp_avg;
  std::vector<double> losses, grad_norms;
  int64_t calls = 0;
};

// Elements `range` of a parameter or of something like it, and whether the ranks of the gradient
// group hold the same.
struct Held {
  Tensor elements;
  ElementRange range;
  bool replicated;
};

// The pieces of `held_of(parameter)` for each parameter of the set.
template <typename HeldOf>
std::vector<Piece> pieces(ParameterSet& set, const HeldOf& held_of) {
  std::vector<Piece> all;
  for (const auto& p : set) {
    const Held held = held_of(*p);
    const AxisSet replicating = held.replicated ? AxisSet{Axis::dp, Axis::cp} : AxisSet{};
    const bool owner = is_owner(p->spec, set.coord(), replicating | AxisSet{Axis::tp, Axis::pp});
    for (const Region& r : clip(regions(p->spec, set.mesh(), set.coord()), held.range)) {
      const float* data = held.elements.template data<float>() + r.local_begin - held.range.begin;
      all.push_back({r, owner, Values(data, data + r.extent.elements())});
    }
  }
  return all;
}

RankTrace run_rank(const RunConfig& config, const Layout& layout, int64_t steps,
                   const FillSample& fill, const Fault& fault, Bootstrap& bootstrap) {
  RankTrace trace;
  CallCounter counter{.drop = fault.drop};
  const auto device = make_device({.threads = 1});
  const auto compute = device->make_stream(StreamKind::compute);
  const auto communication = device->make_stream(StreamKind::communication);
  const auto tensor_side = layout.tp > 1 ? device->make_stream(StreamKind::communication) : nullptr;
  const auto context_side =
      layout.cp > 1 ? device->make_stream(StreamKind::communication) : nullptr;
  const auto ops = make_ops(*device);
  Mesh mesh(bootstrap, mesh_shape(layout), [&](std::unique_ptr<Communicator> inner) {
    return make_faulty(std::move(inner), counter);
  });
  Engine engine(config,
                {.mesh = mesh,
                 .device = *device,
                 .compute = *compute,
                 .communication = *communication,
                 .ops = *ops,
                 .tensor_side = tensor_side.get(),
                 .context_side = context_side.get()},
                [](const std::vector<SegmentBytes>&) {});
  const bool sharded = config.mesh.zero > 0;
  const auto value = [&](const Parameter& p) {
    const ParameterSet::Values kept = engine.parameters().kept_values(p);
    return Held{kept.elements, kept.range, config.mesh.zero < 3};
  };
  const auto grad = [&](const Parameter& p) { return Held{p.own_grad, p.own, !sharded}; };
  const auto exp_avg = [&](const Parameter& p) {
    return Held{engine.optimizer().state(p.index).exp_avg, p.own, !sharded};
  };
  trace.initial = pieces(engine.parameters(), value);
  // Of a batch that no step sees: what is left of it in memory cannot stand in for what a lost
  // collective should have brought.
  trace.losses.push_back(engine.gradients(steps * config.train.batch_size, fill));
  trace.gradients = pieces(engine.parameters(), grad);
  engine.clear_gradients();
  for (int64_t update = 1; update <= steps; ++update) {
    const double lr = learning_rate(config.schedule, update, config.train.steps);
    const StepResult result =
        engine.step(update, lr, (update - 1) * config.train.batch_size, fill, false);
    trace.losses.push_back(result.loss);
    trace.grad_norms.push_back(result.grad_norm);
  }
  trace.trained = pieces(engine.parameters(), value);
  trace.exp_avg = pieces(engine.parameters(), exp_avg);
  trace.calls = counter.calls;
  return trace;
}

// Calls visit(whole element, piece element) for the elements of a piece.
template <typename Visit>
void for_each_element(const Piece& piece, Values& whole, const Visit& visit) {
  const Region& r = piece.region;
  const bool matrix = r.extent.rank() == 2;
  const int64_t rows = matrix ? r.extent[0] : 1;
  const int64_t columns = r.extent.back();
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = matrix ? (r.offset[0] + i) * r.tensor_shape[1] + r.offset[1] : r.offset[0];
    for (int64_t j = 0; j < columns; ++j) {
      visit(whole[static_cast<size_t>(at + j)], piece.values[static_cast<size_t>(i * columns + j)]);
    }
  }
}

// Whole tensors from their owners; every replica must have the owner's bits.
LogicalTensors assemble(const std::vector<RankTrace>& ranks, std::vector<Piece> RankTrace::*member,
                        const char* what, std::vector<std::string>& disagreements) {
  LogicalTensors whole;
  for (const RankTrace& rank : ranks) {
    for (const Piece& piece : rank.*member) {
      Values& values = whole[piece.region.tensor];
      values.resize(static_cast<size_t>(piece.region.tensor_shape.elements()));
      if (piece.owner) for_each_element(piece, values, [](float& w, float v) { w = v; });
    }
  }
  for (size_t r = 0; r < ranks.size(); ++r) {
    for (const Piece& piece : ranks[r].*member) {
      bool same = true;
      for_each_element(piece, whole[piece.region.tensor], [&](const float& w, float v) {
        same = same && std::memcmp(&w, &v, sizeof v) == 0;
      });
      if (!same) {
        disagreements.push_back(
            fmt::format("rank {}'s replica of the {} {}", r, what, piece.region.tensor));
      }
    }
  }
  return whole;
}

}  // namespace

std::string to_string(const Layout& layout) {
  std::string text = fmt::format("dp {} tp {} cp {} micro-batch {} zero {}", layout.dp, layout.tp,
                                 layout.cp, layout.micro_batch_size, layout.zero);
  if (layout.pp > 1) text += fmt::format(" pp {} {}", layout.pp, name(layout.schedule));
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
  return config;
}

LayoutTrace run_layout(const RunConfig& given, const Layout& layout, int64_t steps,
                       const FillSample& fill, const Fault& fault, int64_t* calls) {
  const RunConfig config = with_layout(given, layout);
  std::vector<RankTrace> ranks(static_cast<size_t>(layout.ranks()));
  run_local_ranks(layout.ranks(), [&](Bootstrap& bootstrap) {
    ranks[static_cast<size_t>(bootstrap.rank())] =
        run_rank(config, layout, steps, fill, fault, bootstrap);
  });
  LayoutTrace trace;
  std::vector<std::string>& faults = trace.disagreements;
  trace.initial = assemble(ranks, &RankTrace::initial, "initial", faults);
  trace.gradients = assemble(ranks, &RankTrace::gradients, "gradient of", faults);
  trace.trained = assemble(ranks, &RankTrace::trained, "trained", faults);
  trace.exp_avg = assemble(ranks, &RankTrace::exp_avg, "first moment of", faults);
  trace.losses = ranks.front().losses;
  trace.grad_norms = ranks.front().grad_norms;
  for (size_t r = 1; r < ranks.size(); ++r) {
    if (ranks[r].losses != trace.losses) faults.push_back(fmt::format("rank {}'s losses", r));
    if (ranks[r].grad_norms != trace.grad_norms) {
      faults.push_back(fmt::format("rank {}'s gradient norms", r));
    }
  }
  if (calls != nullptr) *calls = ranks.front().calls;
  return trace;
}

}  // namespace weft
