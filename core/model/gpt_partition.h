// GptPartition: which units of a GPT lie on which pipeline stage.
//
// A model of L blocks has L + 2 units, in the order of forward: unit 0 is the embedding, unit 1 + i
// is block i, unit L + 1 the final norm with the head. The parts of a partition are runs of units
// and form a chain: part v is chunk v / stages of stage v % stages (arXiv 2104.04473, section 2.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

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
  // blocks[v] is the number of blocks of part v; its size is a multiple of `stages`.
  GptPartition(std::vector<int64_t> blocks, int stages);
  // The whole model on one stage.
  static GptPartition whole(int64_t layers) { return GptPartition({layers}, 1); }

  int stages() const { return stages_; }
  int chunks() const { return static_cast<int>(parts_.size()) / stages_; }
  const GptPart& part(int stage, int chunk) const {
    return parts_[static_cast<size_t>(chunk * stages_ + stage)];
  }
  int64_t head_unit() const { return parts_.back().end_block + 1; }
  int stage_of_unit(int64_t unit) const;

 private:
  int stages_;
  std::vector<GptPart> parts_;
};

}  // namespace weft
