// A Wire of MPI messages.
#pragma once

#include <mpi.h>

#include <memory>

#include "parallel/comm/wire.h"

namespace weft {

// Takes `comm`, the group's own.
std::unique_ptr<Wire> make_mpi_wire(MPI_Comm comm);

}  // namespace weft
