#include "parallel/comm/mpi/requests.h"

#include <string>

#include "core/base/error.h"
#include "parallel/comm/waiter.h"

namespace weft {

void check_mpi(int code, std::string_view what) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail(ErrorKind::peer, "{}: {}", what, std::string(text, static_cast<size_t>(length)));
}

bool wait_requests(std::span<MPI_Request> requests, std::chrono::milliseconds deadline,
                   std::string_view what) {
  Waiter waiter(deadline);
  int done = 0;
  while (true) {
    const int code =
        MPI_Testall(static_cast<int>(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE);
    check_mpi(code, what);
    if (done != 0) return true;
    if (!waiter.turn()) return false;
  }
}

void cancel_requests(std::span<MPI_Request> requests) {
  for (MPI_Request& request : requests) {
    if (request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&request);
    MPI_Request_free(&request);
  }
}

}  // namespace weft
