#include "core/dist/shard_layout.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/ops/ops.h"

namespace weft {
namespace {

int64_t blocks(int64_t elements) { return (elements + Ops::kNormBlock - 1) / Ops::kNormBlock; }

}  // namespace

int gradient_rank(const MeshCoord& coord, const MeshShape& shape) {
  return coord.dp * shape.cp + coord.cp;
}

int gradient_ranks(const MeshShape& shape) { return shape.dp * shape.cp; }

ShardLayout::ShardLayout(std::span<const Entry> entries, int ranks, int64_t bucket_elements,
                         bool within_units)
    : ranks_(ranks), places_(entries.size()) {
  const auto must_cut = [&](size_t at) {
    const Entry& before = entries[at - 1];
    const Entry& after = entries[at];
    return before.alone || after.alone || after.unit > before.unit + 1 ||
           (within_units && after.unit != before.unit);
  };
  // From the end, because gradients become ready in that order: the last bucket of a step, which
  // nothing overlaps, is then the one that may be small.
  size_t last = entries.size();
  int64_t elements = 0;
  for (size_t i = entries.size(); i-- > 0;) {
    elements += blocks(entries[i].elements) * Ops::kNormBlock;
    if (i > 0 && !must_cut(i) && elements < bucket_elements) continue;
    add_bucket(entries, i, last);
    last = i;
    elements = 0;
  }
  std::reverse(buckets_.begin(), buckets_.end());
  int64_t begin = 0;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    buckets_[b].begin = begin;
    begin += this->elements(buckets_[b]);
    for (size_t i = buckets_[b].first; i < buckets_[b].last; ++i) places_[i].bucket = b;
  }
}

void ShardLayout::add_bucket(std::span<const Entry> entries, size_t first, size_t last) {
  int64_t offset = 0;
  for (size_t i = first; i < last; ++i) {
    places_[i].offset = offset * Ops::kNormBlock;
    places_[i].elements = entries[i].elements;
    offset += blocks(entries[i].elements);
  }
  const int64_t share = (offset + ranks_ - 1) / ranks_ * Ops::kNormBlock;
  buckets_.push_back({first, last, entries[first].unit, share, 0});
}

int64_t ShardLayout::elements() const {
  return buckets_.empty() ? 0 : buckets_.back().begin + elements(buckets_.back());
}

ElementRange ShardLayout::share(size_t parameter, int rank) const {
  const Place& place = places_[parameter];
  const int64_t share = buckets_[place.bucket].share;
  const auto within = [&](int64_t at) {
    return std::clamp(at - place.offset, int64_t{0}, place.elements);
  };
  return {within(rank * share), within((rank + 1) * share)};
}

}  // namespace weft
