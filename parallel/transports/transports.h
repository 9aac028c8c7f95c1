// How the ranks of a job find each other, and how a job ends when one of them cannot go on.
//
//   const std::unique_ptr<Bootstrap> job = make_bootstrap();  // of mpirun or of a launcher
//   ...
//   abort_world(exit_code);                                   // from main's catch
//
// docs/communication.md explains the transports and what each guarantees. This folder alone knows
// which of them a build has.
#pragma once

#include <memory>

#include "core/device/device.h"
#include "core/mesh/communicator.h"
#include "parallel/comm/options.h"

namespace weft {

// The bootstrap that the environment asks for: mpi under mpirun or srun --mpi=pmix, otherwise a
// world of one rank, which never touches MPI. One per process, made by the main thread and
// destroyed by it after every communicator made from it. Throws Error{environment} if MPI is there
// but cannot serve several threads, or if a launcher asks for several ranks without MPI.
std::unique_ptr<Bootstrap> make_bootstrap(const CommOptions& options = {});

// The groups of `device`'s memory on the control plane of `host`: NCCL between GPUs. Null for a CPU
// and for one rank alone, whose groups are those of `host`. Both outlive it. Throws
// Error{environment} if this build has no NCCL or the library cannot be opened.
std::unique_ptr<Bootstrap> make_device_bootstrap(Bootstrap& host, Device& device,
                                                 const CommOptions& options = {});

// Ends the whole job at once with `exit_code` (docs/exit_codes.md): under MPI by MPI_Abort, so that
// no other rank waits for this one; otherwise by ending this process. Nothing is unwound; call it
// last, from main's catch.
[[noreturn]] void abort_world(int exit_code);

}  // namespace weft
