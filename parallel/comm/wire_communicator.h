// The collectives of a group whose ranks are processes that exchange messages.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/mesh/communicator.h"
#include "parallel/comm/patience.h"
#include "parallel/comm/wire.h"

namespace weft {

// Rank `rank` of the group; world_ranks: the group's ranks in group order, at least two, for
// messages; chunk_bytes as in CommOptions. Collective destruction: all ranks destroy theirs, unless
// one has failed.
std::unique_ptr<Communicator> make_wire_communicator(std::unique_ptr<Wire> wire, int rank,
                                                     std::vector<int> world_ranks,
                                                     const std::string& axis, size_t chunk_bytes,
                                                     std::shared_ptr<Patience> patience);

}  // namespace weft
