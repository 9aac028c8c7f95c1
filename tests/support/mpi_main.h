// The job that an MPI test program is one rank of (cmake: weft_mpi_tests).
#pragma once

#include "core/dist/communicator.h"

namespace weft::testing {

// The bootstrap main has made; every rank runs the same tests in the same order.
Bootstrap& mpi_bootstrap();

}  // namespace weft::testing
