// The transports this build has, and which one the environment asks for.
#include <cstdio>
#include <cstdlib>

#include "core/base/error.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/comm/mpi/mpi_bootstrap.h"

namespace weft {
namespace {

int number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? 0 : std::atoi(text);
}

// A launcher that starts several ranks in a way that this build cannot connect would otherwise get
// as many lonely jobs, each training the whole model.
void refuse_unconnected_ranks() {
  const int tasks = number_in_environment("SLURM_STEP_NUM_TASKS");
  if (tasks > 1) {
    fail(ErrorKind::environment,
         "srun started {} tasks without MPI; use srun --mpi=pmix, or mpirun inside the allocation",
         tasks);
  }
  const int world = number_in_environment("WORLD_SIZE");
  if (world > 1 && std::getenv("RANK") != nullptr) {
    fail(ErrorKind::environment,
         "RANK and WORLD_SIZE={} ask for a job without MPI, which this build cannot connect; start "
         "it with mpirun -np {}, or unset them to run alone",
         world, world);
  }
}

}  // namespace

std::unique_ptr<Bootstrap> make_bootstrap(const CommOptions& options) {
  if (started_by_mpi()) return make_mpi_bootstrap(options);
  refuse_unconnected_ranks();
  return make_self_bootstrap();
}

void abort_world(int exit_code) {
  std::fflush(nullptr);
  abort_mpi(exit_code);
  std::_Exit(exit_code);
}

}  // namespace weft
