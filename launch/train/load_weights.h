// Beginning a run with the weights of another one.
#pragma once

#include "core/checkpoint/checkpoint.h"
#include "core/mesh/parameter.h"
#include "launch/config/run_config.h"

namespace weft {

// Throws Error{input} unless the weights of the checkpoint are what config.load asks for: each
// tensor of the model is there in its shape, or has fewer rows and the vocabulary may grow, or is
// skipped; there are no others; and the configuration that travels with it, if any, gives the same
// shapes the same meaning (heads, activation, positions, epsilon of the norms). Reads no data.
void require_weights(const CheckpointReader& reader, const RunConfig& config);

// Fills this rank's weights. Those that config.load skips keep the initial values they have, and so
// do the rows of a larger vocabulary that the checkpoint lacks. Equal in every layout. What is
// filled are master weights where the run computes with rounded ones, which Engine::restore()
// makes. For a checkpoint that require_weights accepts; throws Error{input} when what it reads is
// damaged.
void load_weights(const CheckpointReader& reader, const LoadConfig& load, ParameterSet& parameters,
                  Device& device, Stream& stream);

}  // namespace weft
