#include "optim/weight_rounding.h"

namespace weft {

ElementMap elements_of(const Region& r) {
  if (r.extent.rank() != 2) return {r.offset[0], r.extent.elements(), r.extent.elements()};
  const int64_t stride = r.tensor_shape[1];
  return {r.offset[0] * stride + r.offset[1], r.extent[1], stride};
}

bool rounds_at_random(const OptimizerConfig& config, const Parameter& p) {
  return config.stochastic_rounding &&
         (config.state_type() == DType::bf16 || p.own_value.dtype() == DType::bf16);
}

std::vector<OwnedRun> owned_runs(const OptimizerConfig& config, const ParameterSet& parameters,
                                 const Parameter& p) {
  if (p.own.size() == 0 || p.frozen) return {};
  if (!rounds_at_random(config, p)) return {{0, p.own.size(), "", {}}};
  std::vector<OwnedRun> runs;
  const std::vector<Region> held = regions(p.spec, parameters.mesh(), parameters.coord());
  for (const Region& r : clip(held, p.own)) {
    const int64_t begin = r.local_begin - p.own.begin;
    runs.push_back({begin, begin + r.extent.elements(), r.tensor, elements_of(r)});
  }
  return runs;
}

uint32_t rounding_stream(const OwnedRun& run, std::string_view kind) {
  return run.tensor.empty() ? 0 : stream_of(run.tensor + "." + std::string(kind));
}

void round_weights(const OptimizerConfig& config, uint64_t seed, int64_t update,
                   const ParameterSet& parameters, Ops& ops, Stream& stream,
                   UpdateListener* listener) {
  if (!parameters.has_masters()) return;
  for (const auto& p : parameters) {
    const bool at_random = update > 0 && !p->frozen && rounds_at_random(config, *p) &&
                           p->own_value.dtype() == DType::bf16;
    if (!at_random && p->own.size() > 0)
      ops(op::Copy{.from = p->own_master, .to = p->own_value}, stream);
    if (at_random) {
      for (const OwnedRun& run : owned_runs(config, parameters, *p)) {
        ops(op::CopyStochastic{.from = run.of(p->own_master),
                               .to = run.of(p->own_value),
                               .key = {seed, rounding_stream(run, kRoundedWeight),
                                       static_cast<uint32_t>(update)},
                               .elements = run.elements},
            stream);
      }
    }
    if (listener != nullptr) listener->value_updated(*p, stream);
  }
}

}  // namespace weft
