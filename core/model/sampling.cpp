#include "core/model/sampling.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/philox.h"

namespace weft {

Sampler::Sampler(const SamplingOptions& options, int64_t vocab_size) : options_(options) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature)) {
    fail(ErrorKind::usage, "temperature {} must be 0 (greedy) or positive", options.temperature);
  }
  if (options.top_k < 0) {
    fail(ErrorKind::usage, "top-k {} must be 0 (all) or positive", options.top_k);
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    fail(ErrorKind::usage, "top-p {} must be in (0, 1]", options.top_p);
  }
  candidates_.reserve(static_cast<size_t>(vocab_size));
}

int32_t Sampler::sample(std::span<const float> logits, int64_t draw) {
  if (options_.temperature == 0) {
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    candidates_.push_back({static_cast<int32_t>(i), logits[i] / options_.temperature});
  }
  // 1. Most likely first; only as much order as the cuts need.
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.id < b.id;
  };
  size_t keep = candidates_.size();
  if (options_.top_k > 0) keep = std::min(keep, static_cast<size_t>(options_.top_k));
  const auto kept_end = candidates_.begin() + static_cast<std::ptrdiff_t>(keep);
  std::partial_sort(candidates_.begin(), kept_end, candidates_.end(), likelier);
  candidates_.resize(keep);
  // 2. Probabilities, unnormalised.
  const double largest = candidates_.front().weight;
  double total = 0;
  for (Candidate& c : candidates_) {
    c.weight = std::exp(c.weight - largest);
    total += c.weight;
  }
  // 3. The nucleus.
  double limit = total;
  if (options_.top_p < 1) {
    double sum = 0;
    size_t n = 0;
    while (n < candidates_.size() && sum < options_.top_p * total) sum += candidates_[n++].weight;
    candidates_.resize(n);
    limit = sum;
  }
  // 4. Inverse distribution function of one uniform.
  const RandomKey key{.seed = options_.seed, .stream = stream_of("sampling"), .step = 0};
  double rest = uniform(random_word(key, static_cast<uint64_t>(draw))) * limit;
  for (const Candidate& c : candidates_) {
    rest -= c.weight;
    if (rest <= 0) return c.id;
  }
  return candidates_.back().id;
}

}  // namespace weft
