// Bootstrap of ranks that a launcher started with their places in the environment: RANK,
// WORLD_SIZE, MASTER_ADDR and MASTER_PORT, and if it likes LOCAL_RANK and LOCAL_WORLD_SIZE, as
// `weft launch` and torchrun do; or the tasks of srun, with MASTER_ADDR and MASTER_PORT.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/mesh/communicator.h"
#include "parallel/comm/options.h"
#include "parallel/comm/tcp/socket.h"

namespace weft {

// A rank's place as its launcher tells it.
struct Placing {
  int rank = 0;
  int size = 1;
  Address master;                 // where rank 0 listens
  std::optional<int> local_rank;  // absent: ranks of one host name are counted
  std::optional<int> local_size;
};

using GetVariable = const char* (*)(const char* name);
// None if the environment names no rank and no number of ranks, or one rank alone. Throws
// Error{environment}, naming every variable that is missing or wrong.
std::optional<Placing> placing_of(GetVariable get);

// Rank 0 listens at the master's address, the others connect to it; all wait for all. Throws
// Error{peer} if somebody does not come in time, Error{environment} if the port is taken or ranks
// disagree about the job.
std::unique_ptr<Bootstrap> make_tcp_bootstrap(const Placing& placing, const CommOptions& options);

}  // namespace weft
