// Where updates round what they store, and how: to nearest, or at random by the element's number in
// its logical tensor, so that no result depends on how the tensor is cut.
#pragma once

#include <string>
#include <vector>

#include "core/mesh/parameter.h"
#include "core/ops/ops.h"
#include "optim/optimizer_config.h"

namespace weft {

// Whether updates of a parameter round at random.
bool rounds_at_random(const OptimizerConfig& config, const Parameter& parameter);

// A run of owned elements that is updated with one rule of rounding.
struct OwnedRun {
  int64_t begin, end;   // of the owned elements
  std::string tensor;   // the logical tensor that they are a rectangle of; empty: not asked for
  ElementMap elements;  // which of that tensor's they are

  Tensor of(const Tensor& own) const { return own.slice(begin, end); }
};

// Where the elements of a region lie in its logical tensor.
ElementMap elements_of(const Region& region);

// What is updated of a parameter: nothing of a frozen one; all in one run where nothing is rounded
// at random; else a run for each rectangle of its logical tensors.
std::vector<OwnedRun> owned_runs(const OptimizerConfig& config, const ParameterSet& parameters,
                                 const Parameter& parameter);

// The stream of random words for what is stored of a run's tensor under `kind`.
uint32_t rounding_stream(const OwnedRun& run, std::string_view kind);
inline constexpr std::string_view kRoundedWeight = "rounded";

// Makes the values that this rank owns from master weights that came from elsewhere, as update
// number `update` left them; 0: to nearest. Where there are no masters there is nothing to do.
// Notifies `listener` (may be null) of every parameter, in order of registration.
void round_weights(const OptimizerConfig& config, uint64_t seed, int64_t update,
                   const ParameterSet& parameters, Ops& ops, Stream& stream,
                   UpdateListener* listener);

}  // namespace weft
