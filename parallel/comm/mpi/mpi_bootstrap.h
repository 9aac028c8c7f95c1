// Bootstrap of ranks that mpirun or srun started.
#pragma once

#include <memory>

#include "core/mesh/communicator.h"
#include "parallel/comm/options.h"

namespace weft {

// Initialises MPI; its destructor finalizes, unless an exception is passing: then a peer may never
// come, and abort_world ends the job.
std::unique_ptr<Bootstrap> make_mpi_bootstrap(const CommOptions& options);

// True if a launcher has started this process as a rank of an MPI job. Reads the environment only.
bool started_by_mpi();

// MPI_Abort if MPI is running; returns otherwise.
void abort_mpi(int exit_code);

}  // namespace weft
