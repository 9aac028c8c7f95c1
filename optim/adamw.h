// AdamW (arXiv 1711.05101): running means of the gradient and of its square.
#pragma once

#include <array>
#include <vector>

#include "optim/optimizer.h"
#include "optim/weight_rounding.h"

namespace weft {

class AdamW final : public Optimizer {
 public:
  AdamW(const OptimizerConfig& config, uint64_t seed, const ParameterSet& parameters,
        Members members)
      : config_(config), seed_(seed), parameters_(parameters), members_(std::move(members)) {}

  void allocate(Arena& states, Arena& work) override;
  void step(const UpdateInputs& inputs, Ops& ops, Stream& stream,
            UpdateListener* listener) override;
  std::span<const StateTensor> states(const Parameter& member) const override {
    return states_[member.index];
  }
  Grain grain(const ParamSpec&) const override { return Grain::elements; }

 private:
  // Consecutive members [begin, end) of one unit and what is updated of them, which is one call.
  struct Group {
    size_t begin, end;
    std::vector<AdamWTensor> tensors;
  };
  void add_to_groups(size_t member);

  OptimizerConfig config_;
  uint64_t seed_;
  const ParameterSet& parameters_;
  Members members_;
  std::vector<std::array<StateTensor, 2>> states_;  // by parameter
  std::vector<Group> groups_;
};

}  // namespace weft
