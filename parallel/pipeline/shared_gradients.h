// SharedGradients: parameters that two pipeline stages hold, each with the share of the gradient
// that its part of the model gives: the token table of a tied head.
#pragma once

#include <vector>

#include "core/mesh/mesh.h"
#include "core/mesh/parameter.h"
#include "core/ops/ops.h"

namespace weft {

class SharedGradients {
 public:
  // The set is borrowed.
  explicit SharedGradients(ParameterSet& parameters) : parameters_(parameters) {}

  // Room for the other stage's share of each such parameter. Call after the set was allocated.
  void allocate(Arena& arena);

  // Turns the shares into their sum, the same bits on both stages: of what this rank owns of them,
  // summed over the gradient group already. Both stages own the same elements.
  void sum(Mesh& mesh, Ops& ops, Stream& stream);

 private:
  struct Shared {
    Parameter* parameter;
    Tensor other;  // the other stage's share, like own_grad
  };

  ParameterSet& parameters_;
  std::vector<Shared> shared_;
};

}  // namespace weft
