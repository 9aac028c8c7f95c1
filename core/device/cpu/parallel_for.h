// parallel_for: independent index ranges over the OpenMP threads of a CPU stream.
#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

namespace weft {

// Keeps a library that asks OpenMP how many threads it may use, as oneDNN does, to the calling
// thread: such a library counts on all of them and need not notice that some did not come.
inline void use_one_thread() {
  if (omp_get_max_threads() != 1) omp_set_num_threads(1);
}

// Calls body(begin, end) on disjoint ranges that cover [0, count), in up to `threads` threads. A
// range is a multiple of `grain` long but for the last. Which thread gets which range never changes
// what is computed, only who computes it: bodies must not combine across ranges. The ranges are
// shared out among the threads that there are, which may be fewer than were asked for.
//
// Every team has all `threads`, though some may find nothing to do: a runtime ends the threads that
// a smaller team leaves over and makes them again for the next one.
template <typename Body>
void parallel_for(int threads, int64_t count, int64_t grain, const Body& body) {
  const int64_t blocks = (count + grain - 1) / grain;
  const int workers = static_cast<int>(std::min<int64_t>(threads, blocks));
  if (workers <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    const int64_t n = std::min(omp_get_num_threads(), workers);
    const int64_t i = omp_get_thread_num();
    const int64_t begin = std::min(count, blocks * i / n * grain);
    const int64_t end = std::min(count, blocks * (i + 1) / n * grain);
    if (i < n && begin < end) body(begin, end);
  }
}

}  // namespace weft
