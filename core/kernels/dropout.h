// Inverted dropout from counter-based random numbers (core/base/philox.h).
//
// Element `index` of a key is kept iff its word is at least p * 2^32, so that a mask depends on
// nothing but key, index and p.
#pragma once

#include <algorithm>

#include "core/base/philox.h"
#include "core/kernels/team.h"

namespace weft::kernels {

// The smallest word that is kept.
inline uint32_t dropout_threshold(double p) {
  return static_cast<uint32_t>(std::min(p * 0x1p32, 0x1p32 - 1));
}

// y = x * factor where kept, 0 elsewhere, for elements [first, first + n) of `key`; x may be y.
template <typename Team, typename T>
WEFT_KERNEL void dropout_run(Team team, const RandomKey& key, uint64_t first, int64_t n,
                             uint32_t threshold, T factor, const T* x, T* y) {
  constexpr int64_t kBlocks = 64;
  uint32_t words[4 * kBlocks];
  int64_t done = 0;
  while (done < n) {
    const uint64_t index = first + static_cast<uint64_t>(done);
    const uint64_t block = index / 4;
    const int64_t skip = static_cast<int64_t>(index % 4);
    const int64_t count = std::min<int64_t>(4 * kBlocks - skip, n - done);
    team.for_each((skip + count + 3) / 4, [&words, key, block](int64_t i) WEFT_LANE {
      const auto word = random_block(key, block + static_cast<uint64_t>(i));
      words[4 * i] = word[0];
      words[4 * i + 1] = word[1];
      words[4 * i + 2] = word[2];
      words[4 * i + 3] = word[3];
    });
    const uint32_t* kept = words + skip;
    const T* from = x + done;
    T* to = y + done;
    team.for_each(count, [=](int64_t i)
                             WEFT_LANE { to[i] = kept[i] >= threshold ? from[i] * factor : T(0); });
    done += count;
  }
}

}  // namespace weft::kernels
