// Inverted dropout from counter-based random numbers (core/base/philox.h).
//
// Element `index` of a key is kept iff its word is at least p * 2^32, so that a mask depends on
// nothing but key, index and p.
#pragma once

#include <algorithm>

#include "core/kernels/random_words.h"
#include "core/kernels/storage.h"

namespace weft::kernels {

// The smallest word that is kept.
inline uint32_t dropout_threshold(double p) {
  return static_cast<uint32_t>(std::min(p * 0x1p32, 0x1p32 - 1));
}

// y = x * factor where kept, 0 elsewhere, for elements [first, first + n) of `key`; x may be y.
template <typename Team, typename S>
WEFT_KERNEL void dropout_run(Team team, const RandomKey& key, uint64_t first, int64_t n,
                             uint32_t threshold, Arithmetic<S> factor, const S* x, S* y) {
  using T = Arithmetic<S>;
  uint32_t buffer[kWords];
  int64_t done = 0;
  while (done < n) {
    const uint64_t index = first + static_cast<uint64_t>(done);
    const int64_t count = words_at_once(index, n - done);
    const uint32_t* words = random_words(team, key, index, count, buffer);
    const S* from = x + done;
    S* to = y + done;
    team.for_each(count, [=](int64_t i) WEFT_LANE {
      to[i] = store<S>(words[i] >= threshold ? load(from[i]) * factor : T(0));
    });
    done += count;
  }
}

// The same without a buffer, for a Team whose workers share no stack: each makes the words of four
// elements whose numbers have the same block.
template <typename Team, typename S>
WEFT_KERNEL void dropout_blocks(Team team, const RandomKey& key, uint64_t first, int64_t n,
                                uint32_t threshold, Arithmetic<S> factor, const S* x, S* y) {
  using T = Arithmetic<S>;
  const int64_t skip = static_cast<int64_t>(first % 4);
  team.for_each((skip + n + 3) / 4, [=](int64_t block) {
    const auto words = random_block(key, first / 4 + static_cast<uint64_t>(block));
    const int64_t at = 4 * block - skip;
#if defined(__CUDACC__)
#pragma unroll
#endif
    for (int i = 0; i < 4; ++i) {
      if (at + i < 0 || at + i >= n) continue;
      y[at + i] = store<S>(words[i] >= threshold ? load(x[at + i]) * factor : T(0));
    }
  });
}

}  // namespace weft::kernels
