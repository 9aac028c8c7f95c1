// Gradient descent with momentum (Polyak), optionally looking ahead (Nesterov; Sutskever et al.,
// ICML 2013), and decoupled weight decay:
//   m = momentum m + g;  w = (1 - lr weight_decay) w - lr (nesterov ? g + momentum m : m)
#pragma once

#include <vector>

#include "optim/optimizer.h"

namespace weft {

class Sgd final : public Optimizer {
 public:
  Sgd(const OptimizerConfig& config, uint64_t seed, const ParameterSet& parameters, Members members)
      : config_(config), seed_(seed), parameters_(parameters), members_(std::move(members)) {}

  void allocate(Arena& states, Arena& work) override;
  void step(const UpdateInputs& inputs, Ops& ops, Stream& stream,
            UpdateListener* listener) override;
  std::span<const StateTensor> states(const Parameter& member) const override {
    return {&states_[member.index], 1};
  }
  Grain grain(const ParamSpec&) const override { return Grain::elements; }

 private:
  // What is updated of the members of one unit, which is two calls.
  struct Unit {
    Members members;
    std::vector<MomentumTensor> momenta;
    std::vector<DescentTensor> weights;
    bool stochastic = false;
  };
  void add(Parameter& member, Unit& unit) const;

  OptimizerConfig config_;
  uint64_t seed_;
  const ParameterSet& parameters_;
  Members members_;
  std::vector<StateTensor> states_;  // by parameter
  std::vector<Unit> units_;
};

}  // namespace weft
