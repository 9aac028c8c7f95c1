// Sampling: the next token from logits. A pure function of (logits, options, draw number).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace weft {

struct SamplingOptions {
  double temperature = 1.0;  // divides the logits; 0 takes the largest (greedy)
  int64_t top_k = 0;         // keep the k most likely; 0 keeps all
  double top_p = 1.0;        // keep the fewest most likely that hold this probability (nucleus
                             // sampling, arXiv 1904.09751); 1 keeps all
  uint64_t seed = 0;
};

class Sampler {
 public:
  // Throws Error{usage} when an option is out of range.
  Sampler(const SamplingOptions& options, int64_t vocab_size);

  // Token for draw `draw` (0, 1, ...): the same draw, options and logits give the same token. Ties
  // go to the smaller id.
  int32_t sample(std::span<const float> logits, int64_t draw);

 private:
  struct Candidate {
    int32_t id;
    double weight;  // logit, then unnormalised probability
  };
  SamplingOptions options_;
  std::vector<Candidate> candidates_;
};

}  // namespace weft
