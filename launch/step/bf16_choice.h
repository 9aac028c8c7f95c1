// How the matrices of a run in bf16 are multiplied where cpu.bf16_products: auto leaves it open.
#pragma once

#include <string>

#include "core/mesh/communicator.h"
#include "launch/config/run_config.h"

namespace weft {

// Puts native or converted in the place of auto, for a run in bf16 on CPUs: what `resumed`, the
// checkpoint that the run goes on from, was computed with, so that it goes on with the same bits;
// or what is the faster one at the run's own shapes, timed on all ranks at once in a second at most
// and the same on all of them. Checkpoints hold the configuration, and so the choice. Returns a
// line that says it, or nothing where nothing was open. Collective.
std::string settle_bf16_products(RunConfig& config, const std::string& resumed,
                                 Bootstrap& bootstrap);

}  // namespace weft
