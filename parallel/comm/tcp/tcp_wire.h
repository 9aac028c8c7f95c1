// A Wire of TCP connections, one to each other rank of the group.
#pragma once

#include <memory>
#include <vector>

#include "parallel/comm/tcp/socket.h"
#include "parallel/comm/wire.h"

namespace weft {

// sockets[p] is connected to rank p of the group, but for this rank's own place, which is not open;
// world_ranks[p] is that rank's number in the job, for messages.
std::unique_ptr<Wire> make_tcp_wire(std::vector<Socket> sockets, std::vector<int> world_ranks);

}  // namespace weft
