// WeightGatherer: with ZeRO 1 and 2, gives every rank of the gradient group the weights that the
// others have updated. The all-gather of a bucket runs on the communication stream while the next
// bucket is being updated.
#pragma once

#include <memory>
#include <vector>

#include "core/mesh/mesh.h"
#include "core/mesh/parameter.h"

namespace weft {

class WeightGatherer final : public UpdateListener {
 public:
  // Everything is borrowed. Call after the set was allocated.
  WeightGatherer(ParameterSet& parameters, Mesh& mesh, Device& device, Stream& communication);

  void value_updated(const Parameter& parameter, Stream& stream) override;
  // Makes `stream` wait for all gathers.
  void finish(Stream& stream);

 private:
  ParameterSet& parameters_;
  Mesh& mesh_;
  Stream& communication_;
  std::vector<std::unique_ptr<Event>> updated_;  // by bucket
  std::unique_ptr<Event> done_;
};

}  // namespace weft
