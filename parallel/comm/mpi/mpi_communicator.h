// Communicator over MPI point-to-point messages between host buffers.
#pragma once

#include <mpi.h>

#include <memory>
#include <string>
#include <vector>

#include "core/dist/communicator.h"
#include "parallel/comm/options.h"

namespace weft {

// Takes `comm` over: it is freed with the communicator. world_ranks: its ranks' numbers in the job,
// for messages.
std::unique_ptr<Communicator> make_mpi_communicator(MPI_Comm comm, std::vector<int> world_ranks,
                                                    const std::string& axis,
                                                    const CommOptions& options);

}  // namespace weft
