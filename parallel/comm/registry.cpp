// The transports this build has, and which one the environment asks for.
#include <cstdio>
#include <cstdlib>

#include "parallel/comm/bootstrap.h"
#include "parallel/comm/mpi/mpi_bootstrap.h"

namespace weft {

std::unique_ptr<Bootstrap> make_bootstrap(const CommOptions& options) {
  if (started_by_mpi()) return make_mpi_bootstrap(options);
  return make_self_bootstrap();
}

void abort_world(int exit_code) {
  std::fflush(nullptr);
  abort_mpi(exit_code);
  std::_Exit(exit_code);
}

}  // namespace weft
