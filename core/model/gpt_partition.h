// GptPartition: which units of a GPT lie on which pipeline stage.
//
// A model of L blocks has L + 2 units, in the order of forward: unit 0 is the embedding, unit 1 + i
// is block i, unit L + 1 the final norm with the head. The parts of a partition are runs of units;
// a Chain says which stage has which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/mesh/chain.h"

namespace weft {

// The blocks [first_block, end_block), and the ends of the model if they are its.
struct GptPart {
  int64_t first_block = 0;
  int64_t end_block = 0;
  bool embeds = false;    // begins with the embedding
  bool has_head = false;  // ends with the final norm and the head
};

class GptPartition {
 public:
  // blocks[v] is the number of blocks of part v of the chain.
  GptPartition(const std::vector<int64_t>& blocks, const Chain& chain);
  // The whole model on one stage.
  static GptPartition whole(int64_t layers) { return GptPartition({layers}, {}); }

  const Chain& chain() const { return chain_; }
  const GptPart& part(int stage, int chunk) const {
    return parts_[static_cast<size_t>(chain_.part({stage, chunk}))];
  }
  int64_t head_unit() const { return parts_.back().end_block + 1; }
  Chain::Place place_of_unit(int64_t unit) const;

 private:
  Chain chain_;
  std::vector<GptPart> parts_;
};

}  // namespace weft
