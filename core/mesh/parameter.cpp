#include "core/mesh/parameter.h"

#include <algorithm>
#include <map>
#include <span>

#include "core/base/philox.h"
#include "core/device/cpu/parallel_for.h"
#include "core/mesh/upload.h"
#include "core/ops/gradient_norm.h"

namespace weft {
namespace {

// Writes the initial values of `region` to out[0, extent.elements()).
void initial_values(const ParamSpec& spec, const Region& region, uint64_t seed, int threads,
                    float* out) {
  if (spec.init.kind != Init::Kind::normal) {
    const float value = spec.init.kind == Init::Kind::ones ? 1.0f : 0.0f;
    std::fill(out, out + region.extent.elements(), value);
    return;
  }
  WEFT_CHECK(region.extent.rank() <= 2, "{}: random init of a rank-{} tensor", region.tensor,
             region.extent.rank());
  const RandomKey key{.seed = seed, .stream = stream_of(region.tensor), .step = 0};
  const bool matrix = region.extent.rank() == 2;
  const int64_t rows = matrix ? region.extent[0] : 1;
  const int64_t columns = region.extent.back();
  constexpr int64_t kGrainElements = 32768;  // about a millisecond
  const int64_t grain = std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, columns));
  parallel_for(threads, rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = region.offset[0] + i;
      const int64_t first =
          matrix ? row * region.tensor_shape[1] + region.offset[1] : region.offset[0];
      fill_normal(key, static_cast<uint64_t>(first), columns, spec.init.stddev, out + i * columns);
    }
  });
}

}  // namespace

Parameter* ParameterSet::add(ParamSpec spec) {
  constexpr int64_t kBlock = kNormBlock;
  WEFT_CHECK(aliases_.empty(), "{} is registered after an alias", spec.name);
  const int64_t position = positions_;
  const Shape local = local_shape(spec, mesh_, coord_);
  positions_ += (local.elements() + kBlock - 1) / kBlock * kBlock;
  global_elements_ += elements(spec);
  if (!is_on_stage(spec, coord_.pp)) return nullptr;
  auto p = std::make_unique<Parameter>();
  p->index = parameters_.size();
  p->local = local;
  p->unit = spec.units.front();
  p->position = position;
  const std::vector<Region> held = regions(spec, mesh_, coord_);
  if (!held.empty()) p->first_row = held.front().offset[0];
  p->spec = std::move(spec);
  by_name_.emplace(p->spec.name, p.get());
  parameters_.push_back(std::move(p));
  return parameters_.back().get();
}

Parameter* ParameterSet::add_alias(Parameter& of, int64_t unit) {
  auto p = std::make_unique<Parameter>(of);
  p->index = gradients();
  p->unit = unit;
  p->alias_of = &of;
  aliases_.push_back(std::move(p));
  return aliases_.back().get();
}

Parameter* ParameterSet::find(std::string_view name, std::optional<int64_t> unit) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return nullptr;
  for (const auto& alias : aliases_) {
    if (alias->alias_of == found->second && alias->unit == unit) return alias.get();
  }
  return found->second;
}

Parameter& ParameterSet::at(std::string_view name, std::optional<int64_t> unit) const {
  Parameter* found = find(name, unit);
  WEFT_CHECK(found != nullptr, "this rank holds no parameter {}", name);
  return *found;
}

void ParameterSet::allocate(Arena& values, Arena* grads, DType dtype, Arena* masters) {
  const DType sums = accumulator(dtype);
  has_masters_ = sums != dtype && masters != nullptr;
  make_layout(sums);
  buckets_.assign(layout_.buckets().size(), {});
  allocate_values(values, dtype);
  if (has_masters_) allocate_masters(*masters, sums);
  if (grads != nullptr) allocate_grads(*grads, sums);
  for (const auto& p : parameters_) place(*p);
  for (const auto& p : aliases_) place(*p);
}

// That of what shares a unit with it, so that a unit is not cut into a bucket for each of its
// vectors. Without ZeRO a rank updates everything.
Grain ParameterSet::grain_of(const Parameter& parameter) const {
  const bool whole = std::ranges::any_of(parameters_, [&](const auto& p) {
    return p->unit == parameter.unit && p->grain == Grain::whole;
  });
  return whole && sharding_.zero > 0 ? Grain::whole : Grain::elements;
}

int64_t ParameterSet::largest_part(const ParamSpec& spec) const {
  // Shares that do not divide leave the last ranks shorter.
  return local_shape(spec, mesh_, MeshCoord{}).elements();
}

void ParameterSet::make_layout(DType dtype) {
  std::vector<ShardLayout::Entry> entries;
  for (const auto& p : parameters_) {
    entries.push_back({.elements = p->local.elements(),
                       .unit = p->unit,
                       .alone = p->spec.stages.size() > 1,
                       .replicas = replica_axes(p->spec),
                       .grain = grain_of(*p),
                       .room = largest_part(p->spec)});
  }
  // Parameters that are used twice are cut alike in both places.
  for (const auto& p : aliases_) {
    entries.push_back({.elements = p->local.elements(),
                       .unit = p->unit,
                       .alone = true,
                       .replicas = replica_axes(p->spec)});
    entries[p->alias_of->index].alone = true;
  }
  const auto bucket_elements = sharding_.bucket_bytes / static_cast<int64_t>(size_of(dtype));
  layout_ = ShardLayout(entries, mesh_, bucket_elements, sharding_.zero >= 2);
}

Tensor ParameterSet::own_part(size_t bucket, const Tensor& all) const {
  if (sharding_.zero == 0) return all;
  const int64_t share = layout_.buckets()[bucket].share;
  const int64_t rank = rank_in(bucket);
  return all.slice(rank * share, (rank + 1) * share);
}

// A window for each bucket on the slot of its unit; a unit's buckets lie side by side.
std::vector<Tensor> ParameterSet::allocate_slots(Arena& arena, DType dtype) {
  const std::vector<ShardLayout::Bucket>& buckets = layout_.buckets();
  std::map<int64_t, int64_t> unit_elements;
  std::vector<int64_t> begin;
  for (const ShardLayout::Bucket& b : buckets) {
    int64_t& elements = unit_elements[b.unit];
    begin.push_back(elements);
    elements += b.elements();
  }
  std::array<int64_t, kSlots> sizes{};
  for (const auto& [unit, elements] : unit_elements) {
    sizes[slot_of(unit)] = std::max(sizes[slot_of(unit)], elements);
  }
  std::array<Tensor, kSlots> slots;
  for (size_t s = 0; s < kSlots; ++s) slots[s] = arena.allocate({sizes[s]}, dtype);
  std::vector<Tensor> windows;
  for (size_t b = 0; b < buckets.size(); ++b) {
    const int64_t end = begin[b] + buckets[b].elements();
    windows.push_back(slots[slot_of(buckets[b].unit)].slice(begin[b], end));
  }
  return windows;
}

void ParameterSet::allocate_values(Arena& arena, DType dtype) {
  const bool sharded = sharding_.zero == 3;
  const std::vector<Tensor> windows =
      sharded ? allocate_slots(arena, dtype) : std::vector<Tensor>();
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const ShardLayout::Bucket& place = layout_.buckets()[b];
    BucketMemory& memory = buckets_[b];
    const BucketMemory* original = nullptr;
    if (place.first >= parameters_.size()) {
      const Parameter& alias = *aliases_[place.first - parameters_.size()];
      original = &buckets_[layout_.bucket_of(alias.alias_of->index)];
    }
    if (sharded) {
      memory.values = windows[b];
      memory.own_values =
          original != nullptr ? original->own_values : arena.allocate({place.share}, dtype);
    } else {
      memory.values =
          original != nullptr ? original->values : arena.allocate({place.elements()}, dtype);
      memory.own_values = own_part(b, memory.values);
    }
  }
}

void ParameterSet::allocate_masters(Arena& arena, DType dtype) {
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const ShardLayout::Bucket& place = layout_.buckets()[b];
    if (place.first >= parameters_.size()) continue;  // of aliases: nothing is updated there
    buckets_[b].own_masters = arena.allocate(buckets_[b].own_values.shape(), dtype);
  }
}

void ParameterSet::allocate_grads(Arena& arena, DType dtype) {
  const bool sharded = sharding_.zero >= 2;
  const std::vector<Tensor> windows =
      sharded ? allocate_slots(arena, dtype) : std::vector<Tensor>();
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const ShardLayout::Bucket& place = layout_.buckets()[b];
    BucketMemory& memory = buckets_[b];
    if (sharded) {
      memory.grads = windows[b];
      memory.own_grads = arena.allocate({place.share}, dtype);
    } else {
      memory.grads = arena.allocate({place.elements()}, dtype);
      memory.own_grads = own_part(b, memory.grads);
    }
    if (!sharding_.elastic) continue;
    // The last level may be where the sum ends up: it is read before that is written.
    const int levels = sharded ? sharding_.tree_levels - 1 : sharding_.tree_levels;
    const Shape shape = sharded ? memory.own_grads.shape() : memory.grads.shape();
    for (int k = 0; k < levels; ++k) memory.levels.push_back(arena.allocate(shape, dtype));
    if (sharded && sharding_.tree_levels > 0) memory.levels.push_back(memory.own_grads);
  }
}

// Gives a parameter its windows on the bucket it lies in.
void ParameterSet::place(Parameter& p) {
  const size_t bucket = layout_.bucket_of(p.index);
  const BucketMemory& memory = buckets_[bucket];
  const int64_t begin = layout_.offset(p.index);
  const int64_t elements = p.local.elements();
  const bool all = sharding_.zero == 0;
  p.own = all ? ElementRange{0, elements} : share(p);
  // Where own elements begin in the memory of what this rank owns of the bucket.
  const int64_t before = all ? 0 : rank_in(bucket) * layout_.buckets()[bucket].share;
  const auto window = [&](const Tensor& whole) {
    return whole.slice(begin, begin + elements).view(p.local);
  };
  const auto own = [&](const Tensor& owned) {
    if (p.own.size() == 0) return owned.slice(0, 0);
    const int64_t at = begin + p.own.begin - before;
    return owned.slice(at, at + p.own.size());
  };
  p.value = window(memory.values);
  p.own_value = own(memory.own_values);
  p.own_master = memory.own_masters.empty() ? p.own_value : own(memory.own_masters);
  if (memory.grads.empty()) return;
  p.grad = window(memory.grads);
  p.own_grad = own(memory.own_grads);
}

ParameterSet::Values ParameterSet::kept_values(const Parameter& p) const {
  if (has_masters_ || sharding_.zero == 3) return {p.own, p.own_master};
  return {{0, p.local.elements()}, p.value.view({p.local.elements()})};
}

void ParameterSet::initialize(uint64_t seed, Device& device, Stream& stream) {
  if (!device.has_memory()) return;
  std::vector<float> f32;
  for (const auto& p : parameters_) {
    const Values kept = kept_values(*p);
    // What is computed with, beside masters: all that is local, or this rank's share.
    const bool local = has_masters_ && sharding_.zero < 3;
    const ElementRange all = local ? ElementRange{0, p->local.elements()} : kept.range;
    f32.resize(static_cast<size_t>(all.size()));
    for (const Region& r : clip(regions(p->spec, mesh_, coord_), all)) {
      initial_values(p->spec, r, seed, device.threads(), f32.data() + r.local_begin - all.begin);
    }
    const auto values = std::span<const float>(f32);
    upload(values.subspan(static_cast<size_t>(kept.range.begin - all.begin),
                          static_cast<size_t>(kept.range.size())),
           kept.elements, device, stream);
    if (!has_masters_) continue;
    upload(values, local ? p->value.view({p->local.elements()}) : p->own_value, device, stream);
  }
}

}  // namespace weft
