// Composite: several optimizers, each for some of the parameters of a set.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "optim/optimizer.h"

namespace weft {

class Composite final : public Optimizer {
 public:
  struct Part {
    std::unique_ptr<Optimizer> optimizer;
    double lr_factor = 1;  // its learning rate, times the inputs'
  };

  // `part_of` is the number of the part whose member a parameter is. What another update waits for
  // is gathered while the last part works, which should hence be the slowest.
  Composite(std::vector<Part> parts, Members members,
            std::function<size_t(const ParamSpec&)> part_of)
      : parts_(std::move(parts)), members_(std::move(members)), part_of_(std::move(part_of)) {}

  void allocate(Arena& states, Arena& work) override;
  void step(const UpdateInputs& inputs, Ops& ops, Stream& stream,
            UpdateListener* listener) override;
  std::span<const StateTensor> states(const Parameter& member) const override {
    return of(member.spec).states(member);
  }
  Grain grain(const ParamSpec& spec) const override { return of(spec).grain(spec); }

 private:
  const Optimizer& of(const ParamSpec& spec) const { return *parts_[part_of_(spec)].optimizer; }

  std::vector<Part> parts_;
  Members members_;  // of all parts, in order of registration
  std::function<size_t(const ParamSpec&)> part_of_;
};

}  // namespace weft
