#include "core/mesh/shard_layout.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "core/base/error.h"
#include "core/ops/gradient_norm.h"

namespace weft {
namespace {

int64_t blocks(int64_t elements) { return (elements + kNormBlock - 1) / kNormBlock; }

int64_t blocks(const ShardLayout::Entry& entry) {
  return blocks(entry.grain == Grain::whole ? entry.room : entry.elements);
}

}  // namespace

ShardLayout::ShardLayout(std::span<const Entry> entries, const MeshShape& mesh,
                         int64_t bucket_elements, bool within_units)
    : mesh_(mesh), places_(entries.size()) {
  const auto must_cut = [&](size_t at) {
    const Entry& before = entries[at - 1];
    const Entry& after = entries[at];
    return before.alone || after.alone || after.unit > before.unit + 1 ||
           before.grain != after.grain || before.replicas != after.replicas ||
           (within_units && after.unit != before.unit);
  };
  // From the end, because gradients become ready in that order: the last bucket of a step, which
  // nothing overlaps, is then the one that may be small.
  size_t last = entries.size();
  int64_t elements = 0, wanted = bucket_elements;
  for (size_t i = entries.size(); i-- > 0;) {
    const int64_t taken = blocks(entries[i]) * kNormBlock;
    elements += taken;
    if (entries[i].grain == Grain::whole) {
      wanted = std::max(wanted, mesh.size(entries[i].replicas) * taken);
    }
    if (i > 0 && !must_cut(i) && elements < wanted) continue;
    add_bucket(entries, i, last);
    last = i;
    elements = 0;
    wanted = bucket_elements;
  }
  std::reverse(buckets_.begin(), buckets_.end());
  int64_t begin = 0;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    buckets_[b].begin = begin;
    begin += buckets_[b].elements();
    for (size_t i = buckets_[b].first; i < buckets_[b].last; ++i) places_[i].bucket = b;
  }
}

void ShardLayout::add_bucket(std::span<const Entry> entries, size_t first, size_t last) {
  for (size_t i = first; i < last; ++i) places_[i].elements = entries[i].elements;
  const bool whole = entries[first].grain == Grain::whole;
  const AxisSet replicas = entries[first].replicas;
  const int ranks = mesh_.size(replicas);
  const int64_t share = whole ? place_whole(entries, first, last, ranks)
                              : place_in_order(entries, first, last, ranks);
  buckets_.push_back({first, last, entries[first].unit, share * kNormBlock, 0, replicas, ranks});
}

// Both return the blocks of a share.
int64_t ShardLayout::place_in_order(std::span<const Entry> entries, size_t first, size_t last,
                                    int ranks) {
  int64_t offset = 0;
  for (size_t i = first; i < last; ++i) {
    places_[i].offset = offset * kNormBlock;
    offset += blocks(entries[i]);
  }
  return (offset + ranks - 1) / ranks;
}

int64_t ShardLayout::place_whole(std::span<const Entry> entries, size_t first, size_t last,
                                 int ranks) {
  std::vector<size_t> order(last - first);
  std::iota(order.begin(), order.end(), first);
  std::ranges::stable_sort(order, std::ranges::greater(),
                           [&](size_t i) { return blocks(entries[i]); });
  std::vector<int64_t> loads(static_cast<size_t>(ranks), 0);
  std::vector<int64_t> owners(entries.size());
  for (const size_t i : order) {
    const auto least = std::ranges::min_element(loads);
    owners[i] = least - loads.begin();
    places_[i].offset = *least * kNormBlock;  // in the rank's share, whose size follows
    *least += blocks(entries[i]);
  }
  const int64_t share = *std::ranges::max_element(loads);
  for (const size_t i : order) places_[i].offset += owners[i] * share * kNormBlock;
  return share;
}

int64_t ShardLayout::elements() const {
  return buckets_.empty() ? 0 : buckets_.back().begin + buckets_.back().elements();
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
