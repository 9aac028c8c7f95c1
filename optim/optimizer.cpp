#include "optim/optimizer.h"

#include "optim/adamw.h"
#include "optim/composite.h"
#include "optim/muon.h"
#include "optim/sgd.h"

namespace weft {
namespace {

// Muon for matrices, AdamW for the rest.
std::unique_ptr<Optimizer> muon_and_adamw(const OptimizerConfig& config, uint64_t seed,
                                          ParameterSet& parameters, Optimizer::Members members) {
  const auto part_of = [](const ParamSpec& spec) { return Muon::takes(spec) ? size_t{1} : 0; };
  std::array<Optimizer::Members, 2> of;
  for (Parameter* p : members) of[part_of(p->spec)].push_back(p);
  std::vector<Composite::Part> parts;
  parts.push_back({std::make_unique<AdamW>(config, seed, parameters, std::move(of[0])),
                   config.adamw_lr_factor});
  parts.push_back({std::make_unique<Muon>(config, seed, parameters, std::move(of[1]))});
  return std::make_unique<Composite>(std::move(parts), std::move(members), part_of);
}

std::unique_ptr<Optimizer> of_kind(const OptimizerConfig& config, uint64_t seed,
                                   ParameterSet& parameters, Optimizer::Members members) {
  switch (config.kind) {
    case OptimizerKind::adamw:
      return std::make_unique<AdamW>(config, seed, parameters, std::move(members));
    case OptimizerKind::sgd:
      return std::make_unique<Sgd>(config, seed, parameters, std::move(members));
    case OptimizerKind::muon:
      return muon_and_adamw(config, seed, parameters, std::move(members));
  }
  return nullptr;
}

}  // namespace

std::unique_ptr<Optimizer> make_optimizer(const OptimizerConfig& config, uint64_t seed,
                                          ParameterSet& parameters) {
  Optimizer::Members all;
  for (const auto& p : parameters) all.push_back(p.get());
  auto optimizer = of_kind(config, seed, parameters, std::move(all));
  for (const auto& p : parameters) p->grain = optimizer->grain(p->spec);
  return optimizer;
}

}  // namespace weft
