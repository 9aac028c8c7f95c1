#include "parallel/transports/transports.h"

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "core/base/error.h"
#include "parallel/comm/bootstrap.h"
#include "parallel/comm/tcp/tcp_bootstrap.h"
#ifdef WEFT_HAS_MPI
#include "parallel/comm/mpi/mpi_bootstrap.h"
#endif
#ifdef WEFT_HAS_NCCL
#include "parallel/comm/nccl/nccl_bootstrap.h"
#endif

namespace weft {
namespace {

const char* variable(const char* name) { return std::getenv(name); }

int number_in_environment(const char* name) {
  const char* text = variable(name);
  return text == nullptr ? 0 : std::atoi(text);
}

// A launcher that starts several ranks in a way that this build cannot connect would otherwise get
// as many lonely jobs, each training the whole model.
void refuse_unconnected_ranks() {
  if (const int tasks = number_in_environment("SLURM_STEP_NUM_TASKS"); tasks > 1) {
    fail(
        ErrorKind::environment,
        "srun started {} tasks that cannot find each other; use srun --mpi=pmix, mpirun inside the "
        "allocation, or set MASTER_ADDR and MASTER_PORT",
        tasks);
  }
#ifndef WEFT_HAS_MPI
  if (const int ranks = number_in_environment("OMPI_COMM_WORLD_SIZE"); ranks > 1) {
    fail(ErrorKind::environment,
         "mpirun started {} ranks, but this build has no MPI; use `weft launch -n {} -- ...`, or "
         "build with -DWEFT_MPI=ON",
         ranks, ranks);
  }
#endif
}

}  // namespace

std::unique_ptr<Bootstrap> make_bootstrap(const CommOptions& options) {
#ifdef WEFT_HAS_MPI
  if (started_by_mpi()) return make_mpi_bootstrap(options);
#endif
  if (const std::optional<Placing> placing = placing_of(&variable)) {
    return make_tcp_bootstrap(*placing, options);
  }
  refuse_unconnected_ranks();
  return make_self_bootstrap();
}

std::unique_ptr<Bootstrap> make_device_bootstrap(Bootstrap& host, Device& device,
                                                 [[maybe_unused]] const CommOptions& options) {
  if (device.kind() == DeviceKind::cpu || host.size() == 1) return nullptr;
#ifdef WEFT_HAS_NCCL
  return make_nccl_bootstrap(host, open_nccl(device), several_on_one_gpu(device), options);
#else
  fail(ErrorKind::environment,
       "{} ranks on GPUs need NCCL, which this build lacks; install its headers and build again",
       host.size());
#endif
}

void abort_world(int exit_code) {
  std::fflush(nullptr);
#ifdef WEFT_HAS_MPI
  abort_mpi(exit_code);
#endif
  std::_Exit(exit_code);
}

}  // namespace weft
