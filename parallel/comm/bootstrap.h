// How the ranks of a job find each other, and how a job ends when one of them cannot go on.
//
//   auto bootstrap = make_bootstrap();                        // mpirun, a launcher's environment,
//   alone run_local_ranks(4, [](Bootstrap& b) { train(b); });       // four ranks as threads
//
// docs/communication.md explains the transports and what each guarantees.
#pragma once

#include <functional>
#include <memory>

#include "core/dist/communicator.h"
#include "parallel/comm/options.h"

namespace weft {

// The bootstrap that the environment asks for: mpi under mpirun or srun --mpi=pmix, otherwise a
// world of one rank, which never touches MPI. One per process, made by the main thread and
// destroyed by it after every communicator made from it. Throws Error{environment} if MPI is there
// but cannot serve several threads, or if a launcher asks for several ranks without MPI.
std::unique_ptr<Bootstrap> make_bootstrap(const CommOptions& options = {});

// A world of one rank.
std::unique_ptr<Bootstrap> make_self_bootstrap();

// The groups of `device`'s memory on the control plane of `host`: NCCL between GPUs. Null for a CPU
// and for one rank alone, whose groups are those of `host`. Both outlive it. Throws
// Error{environment} if this build has no NCCL or the library cannot be opened.
std::unique_ptr<Bootstrap> make_device_bootstrap(Bootstrap& host, Device& device,
                                                 const CommOptions& options = {});

// Runs `body` on `ranks` threads, each a rank of one world in this process, and returns when all
// have ended. If one throws, the others' pending and later calls throw Error{peer}, and when all
// have ended the first error is rethrown here. A rank that waits for one that has already returned
// gets Error{peer} too.
void run_local_ranks(int ranks, const std::function<void(Bootstrap&)>& body,
                     const CommOptions& options = {});

// Ends the whole job at once with `exit_code` (docs/exit_codes.md): under MPI by MPI_Abort, so that
// no other rank waits for this one; otherwise by ending this process. Nothing is unwound; call it
// last, from main's catch.
[[noreturn]] void abort_world(int exit_code);

}  // namespace weft
