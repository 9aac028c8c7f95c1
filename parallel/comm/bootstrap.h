// Jobs within one process: one rank alone, or ranks that are threads.
//
//   run_local_ranks(4, [](Bootstrap& bootstrap) { train(bootstrap); });
//
// Jobs of several processes are made by parallel/transports. docs/communication.md explains what
// each transport guarantees.
#pragma once

#include <functional>
#include <memory>

#include "core/mesh/communicator.h"
#include "parallel/comm/options.h"

namespace weft {

// A world of one rank.
std::unique_ptr<Bootstrap> make_self_bootstrap();

// Runs `body` on `ranks` threads, each a rank of one world in this process, and returns when all
// have ended. If one throws, the others' pending and later calls throw Error{peer}, and when all
// have ended the first error is rethrown here. A rank that waits for one that has already returned
// gets Error{peer} too.
void run_local_ranks(int ranks, const std::function<void(Bootstrap&)>& body,
                     const CommOptions& options = {});

}  // namespace weft
