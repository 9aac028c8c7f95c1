// MPI calls that can fail with words, and waits that end.
#pragma once

#include <mpi.h>

#include <chrono>
#include <span>
#include <string_view>

namespace weft {

// Throws Error{peer} with MPI's own text unless `code` is MPI_SUCCESS.
void check_mpi(int code, std::string_view what);

// Polls until all requests are complete: true, or false once the deadline has passed. Gives the
// processor away between polls. Throws as check_mpi.
bool wait_requests(std::span<MPI_Request> requests, std::chrono::milliseconds deadline,
                   std::string_view what);

// Withdraws what has not been matched, so that unwinding may free the buffers.
void cancel_requests(std::span<MPI_Request> requests);

}  // namespace weft
