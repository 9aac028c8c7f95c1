// A communicator that counts its collectives and leaves one of them out, with a number of no
// meaning where an all-gather should have written: for proving that a check would notice.
#pragma once

#include <cstdint>
#include <memory>

#include "core/dist/communicator.h"

namespace weft {

// Shared by all communicators of one rank; calls are made by one thread.
struct CallCounter {
  int64_t drop = -1;  // the call that is left out; negative: none
  int64_t calls = 0;  // so far
};

// Wraps `inner`; `counter` must outlive it. Groups of one rank are not counted. Barriers neither.
std::unique_ptr<Communicator> make_faulty(std::unique_ptr<Communicator> inner,
                                          CallCounter& counter);

}  // namespace weft
