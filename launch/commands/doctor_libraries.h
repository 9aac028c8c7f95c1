// Versions and capabilities of the libraries this program is linked with, for `weft doctor`.
#pragma once

#include <string>

namespace weft {

// "Open MPI v4.1.4, ...": the library's own first line; empty in a build without MPI. Works without
// starting MPI.
std::string mpi_version();
// Starts MPI in a child process, because a broken installation aborts whoever starts it: "single",
// "funneled", "serialized" or "multiple", the thread level MPI grants; empty when it did not start.
std::string mpi_thread_level();
// Version of the HDF5 library at run time.
std::string hdf5_version();
// Version and threading of the oneDNN library at run time.
std::string onednn_version();
// The instruction set that oneDNN chose for this CPU, such as "avx512_core_bf16"; empty on
// processors other than x86, where it names none.
std::string onednn_isa();
// False where oneDNN found no vector fused multiply-add (AVX2 or better) on an x86.
bool onednn_is_fast();

}  // namespace weft
