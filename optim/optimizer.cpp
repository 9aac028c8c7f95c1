#include "optim/optimizer.h"

#include "optim/adamw.h"

namespace weft {
namespace {

std::unique_ptr<Optimizer> of_kind(const OptimizerConfig& config, uint64_t seed,
                                   ParameterSet& parameters, Optimizer::Members members) {
  switch (config.kind) {
    case OptimizerKind::adamw:
      return std::make_unique<AdamW>(config, seed, parameters, std::move(members));
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
