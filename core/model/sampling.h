// Sampling: the next token from logits. A pure function of (logits, options, draw number).
//
// Drawing is by the inverse of the distribution function over the ids in order of likelihood (of
// equally likely ones the smaller id first). The ids are never sorted: one pass puts them into bins
// of neighbouring logits, and only the bin that decides is put in order.
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

  // Token for draw `draw` (0, 1, ...): the same draw, options and logits give the same token. A
  // logit of minus infinity is never drawn. Throws Error{input} when a logit is NaN or plus
  // infinity, or none is finite: the weights are broken.
  int32_t sample(std::span<const float> logits, int64_t draw);

 private:
  struct Candidate {
    int32_t id;
    float logit;
    float weight;  // unnormalised probability
  };
  // The likeliest ids up to one of them.
  struct Prefix {
    double mass = 0;
    int32_t last = -1;
  };

  void fill_bins(std::span<const float> logits, float smallest, float largest);
  // The shortest prefix that has `count` ids, or whose mass reaches `mass`; all where none does.
  Prefix prefix_of(std::span<const float> logits, int64_t count, double mass);
  void order_bin(std::span<const float> logits, size_t bin);

  SamplingOptions options_;
  std::vector<float> weights_;    // by id
  std::vector<uint16_t> bin_of_;  // by id
  // By bin, likeliest first: the sum of the unnormalised probabilities, and how many ids, which
  // only top-k asks for.
  std::vector<double> mass_;
  std::vector<int32_t> count_;
  std::vector<Candidate> ordered_;  // of one bin, likeliest first
};

}  // namespace weft
