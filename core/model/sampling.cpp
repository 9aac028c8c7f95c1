#include "core/model/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/base/philox.h"
#include "core/kernels/math.h"

namespace weft {
namespace {

constexpr size_t kBins = 1024;
constexpr size_t kTables =
    4;  // of masses, so that additions to one bin need not wait for each other
constexpr uint16_t kNoBin = std::numeric_limits<uint16_t>::max();
constexpr double kNoLimit = std::numeric_limits<double>::infinity();
constexpr float kMost = std::numeric_limits<float>::max();
constexpr float kNone = -std::numeric_limits<float>::infinity();

// Of the logits that may be drawn. Branch-free in lanes, so that it becomes vector code.
struct Range {
  float smallest = std::numeric_limits<float>::infinity();
  float largest = kNone;
};

Range range_of(std::span<const float> logits) {
  constexpr size_t kLanes = 16;
  Range lanes[kLanes];
  float broken[kLanes] = {};  // stays 0 while no logit is NaN or plus infinity
  const auto add = [&](size_t lane, float logit) {
    Range& r = lanes[lane];
    r.largest = logit > r.largest ? logit : r.largest;
    const float drawable = logit == kNone ? r.smallest : logit;
    r.smallest = drawable < r.smallest ? drawable : r.smallest;
    broken[lane] = logit < std::numeric_limits<float>::infinity() ? broken[lane] : 1.0f;
  };
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) add(lane, logits[i + lane]);
  }
  for (; i < logits.size(); ++i) add(0, logits[i]);
  Range all;
  bool is_broken = false;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    all.smallest = std::min(all.smallest, lanes[lane].smallest);
    all.largest = std::max(all.largest, lanes[lane].largest);
    is_broken = is_broken || broken[lane] != 0;
  }
  if (is_broken || all.largest == kNone) {
    fail(ErrorKind::input,
         "the logits are not finite, so the weights of this model are not either; use an earlier "
         "checkpoint");
  }
  return all;
}

}  // namespace

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
  if (options.temperature == 0) return;
  weights_.resize(static_cast<size_t>(vocab_size));
  bin_of_.resize(static_cast<size_t>(vocab_size));
  mass_.resize(kTables * kBins);
  count_.resize(kBins);
}

int32_t Sampler::sample(std::span<const float> logits, int64_t draw) {
  const auto [smallest, largest] = range_of(logits);
  if (options_.temperature == 0) {
    return static_cast<int32_t>(std::find(logits.begin(), logits.end(), largest) - logits.begin());
  }
  fill_bins(logits, smallest, largest);
  // 1. What top-k keeps, then the nucleus of that: both are the likeliest, up to some id.
  constexpr int64_t kAll = std::numeric_limits<int64_t>::max();
  const int64_t count = options_.top_k > 0 ? options_.top_k : kAll;
  double kept = prefix_of(logits, count, kNoLimit).mass;
  if (options_.top_p < 1) kept = prefix_of(logits, count, options_.top_p * kept).mass;
  // 2. Inverse distribution function of one uniform.
  const RandomKey key{.seed = options_.seed, .stream = stream_of("sampling"), .step = 0};
  const double drawn = uniform(random_word(key, static_cast<uint64_t>(draw))) * kept;
  const int32_t id = prefix_of(logits, count, drawn).last;
  WEFT_CHECK(id >= 0, "draw {}: {} of a mass of {} is reached by no id", draw, drawn, kept);
  return id;
}

void Sampler::fill_bins(std::span<const float> logits, float smallest, float largest) {
  // Past 1e30 every other logit is as unlikely as can be.
  const auto inverse = static_cast<float>(std::min(1 / options_.temperature, 1e30));
  const float width = std::min(largest - smallest, kMost);
  const float scale = width > 0 ? std::min(static_cast<float>(kBins) / width, kMost) : 0.0f;
  for (size_t i = 0; i < logits.size(); ++i) {
    const float below = logits[i] == kNone ? 0.0f : std::min(largest - logits[i], kMost);
    const float weight = kernels::exp(-below * inverse);
    const float bin = std::min(below * scale, static_cast<float>(kBins - 1));
    weights_[i] = logits[i] == kNone ? 0.0f : weight;
    bin_of_[i] = logits[i] == kNone ? kNoBin : static_cast<uint16_t>(static_cast<int32_t>(bin));
  }
  std::fill(mass_.begin(), mass_.end(), 0.0);
  const auto add = [&](size_t table, size_t id) {
    // What has no bin goes into the last one, with a weight of 0.
    mass_[kTables * std::min<size_t>(bin_of_[id], kBins - 1) + table] += weights_[id];
  };
  size_t i = 0;
  for (; i + kTables <= logits.size(); i += kTables) {
    for (size_t table = 0; table < kTables; ++table) add(table, i + table);
  }
  for (; i < logits.size(); ++i) add(0, i);
  for (size_t bin = 0; bin < kBins; ++bin) {
    double sum = 0;
    for (size_t table = 0; table < kTables; ++table) sum += mass_[kTables * bin + table];
    mass_[bin] = sum;
  }
  if (options_.top_k == 0) return;
  std::fill(count_.begin(), count_.end(), 0);
  for (const uint16_t bin : bin_of_) {
    if (bin != kNoBin) ++count_[bin];
  }
}

// The mass of a prefix is always added up in the same way, so that a mass which one call returned
// is reached by the next at the same id.
Sampler::Prefix Sampler::prefix_of(std::span<const float> logits, int64_t count, double mass) {
  Prefix prefix;
  for (size_t bin = 0; bin < kBins; ++bin) {
    if (count_[bin] < count && prefix.mass + mass_[bin] < mass) {
      prefix.mass += mass_[bin];
      count -= count_[bin];
      continue;
    }
    order_bin(logits, bin);
    for (const Candidate& candidate : ordered_) {
      prefix.mass += candidate.weight;
      prefix.last = candidate.id;
      if (--count == 0 || prefix.mass >= mass) break;
    }
    break;
  }
  return prefix;
}

void Sampler::order_bin(std::span<const float> logits, size_t bin) {
  ordered_.clear();
  const auto add = [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      if (bin_of_[i] == bin) ordered_.push_back({static_cast<int32_t>(i), logits[i], weights_[i]});
    }
  };
  // Most blocks hold none of the bin, which is seen without a branch for each id.
  constexpr size_t kBlock = 64;
  size_t begin = 0;
  for (; begin + kBlock <= logits.size(); begin += kBlock) {
    uint16_t found = 0;
    for (size_t i = begin; i < begin + kBlock; ++i) found |= bin_of_[i] == bin ? 1 : 0;
    if (found != 0) add(begin, begin + kBlock);
  }
  add(begin, logits.size());
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  if (!std::is_sorted(ordered_.begin(), ordered_.end(), likelier)) {
    std::sort(ordered_.begin(), ordered_.end(), likelier);
  }
}

}  // namespace weft
