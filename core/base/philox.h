// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as
// 1, 2, 3", SC'11). A draw is a pure function of (seed, stream, step, global element index), so a
// value does not depend on which rank, thread or order computes it.
//
// The normal transform uses only correctly rounded operations (+ - * / sqrt) in double, never libm,
// so that every backend produces the same bits.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace weft {

// Names a sequence of random numbers. `stream` tells tensors and ops apart (stream_of), `step` is
// the training step, 0 for initialisation.
struct RandomKey {
  uint64_t seed = 0;
  uint32_t stream = 0;
  uint32_t step = 0;
};

// The stream id of a named tensor or op: FNV-1a of the name, folded to 32 bits.
uint32_t stream_of(std::string_view name);

namespace detail {

constexpr uint32_t kPhiloxM0 = 0xD2511F53u, kPhiloxM1 = 0xCD9E8D57u;
constexpr uint32_t kPhiloxW0 = 0x9E3779B9u, kPhiloxW1 = 0xBB67AE85u;

}  // namespace detail

// Ten rounds of Philox4x32 over `counter` with `key`.
constexpr std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter,
                                             std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{detail::kPhiloxM0} * counter[0];
    const uint64_t p1 = uint64_t{detail::kPhiloxM1} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += detail::kPhiloxW0;
    key[1] += detail::kPhiloxW1;
  }
  return counter;
}

// The four words of elements [4 * block, 4 * block + 4).
constexpr std::array<uint32_t, 4> random_block(const RandomKey& key, uint64_t block) {
  return philox4x32(
      {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), key.step, key.stream},
      {static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)});
}

// The word of element `index`: word index % 4 of block index / 4.
constexpr uint32_t random_word(const RandomKey& key, uint64_t index) {
  return random_block(key, index / 4)[index % 4];
}

// Maps a word to a uniform double in the open interval (0, 1).
constexpr double uniform(uint32_t word) { return (word + 0.5) * 0x1p-32; }

// Maps a word to a standard normal by the inverse distribution function (Wichura, algorithm AS 241,
// PPND16).
double normal(uint32_t word);

// Fills out[0, count) with the normals of elements [first, first + count), times `stddev`.
void fill_normal(const RandomKey& key, uint64_t first, int64_t count, double stddev, float* out);

}  // namespace weft
