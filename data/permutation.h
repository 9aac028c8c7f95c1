// A seeded shuffle of [0, size) that needs no memory: any element of any epoch's order in constant
// time.
#pragma once

#include <cstdint>

#include "core/base/philox.h"

namespace weft {

// A bijection on [0, size): a balanced Feistel network over the next power of four, its round
// function Philox, with cycle walking (a value outside is put through again until it falls inside;
// Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA 2002). The order depends on
// the key and on size alone.
class Permutation {
 public:
  Permutation(const RandomKey& key, int64_t size);

  int64_t size() const { return size_; }
  int64_t operator()(int64_t index) const;  // index in [0, size)

 private:
  uint64_t encrypt(uint64_t value) const;

  RandomKey key_;
  int64_t size_;
  int half_bits_;
};

}  // namespace weft
