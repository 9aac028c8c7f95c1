// The job that a test program is one rank of (cmake: weft_job_tests).
#pragma once

#include "core/mesh/communicator.h"

namespace weft::testing {

// The bootstrap main has made; every rank runs the same tests in the same order.
Bootstrap& job_bootstrap();

}  // namespace weft::testing
