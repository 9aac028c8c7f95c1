// CommOptions: how patient and how chunky the transports of a job are.
#pragma once

#include <chrono>
#include <cstddef>

namespace weft {

struct CommOptions {
  // A call that still waits for a peer after this long throws Error{peer}.
  std::chrono::milliseconds deadline = std::chrono::minutes(10);
  // Piece in which mpi and tcp pipeline a reduction; two per peer are buffered.
  size_t chunk_bytes = size_t{256} << 10;
};

}  // namespace weft
