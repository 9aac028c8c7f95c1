#include "core/dist/parameter.h"

#include "core/base/philox.h"
#include "core/ops/ops.h"

namespace weft {
namespace {

// Writes the initial values of `region` to out[0, extent.elements()).
void initial_values(const ParamSpec& spec, const Region& region, uint64_t seed, float* out) {
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
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t first = matrix
                              ? (region.offset[0] + i) * region.tensor_shape[1] + region.offset[1]
                              : region.offset[0];
    fill_normal(key, static_cast<uint64_t>(first), columns, spec.init.stddev, out + i * columns);
  }
}

}  // namespace

Parameter* ParameterSet::add(ParamSpec spec) {
  constexpr int64_t kBlock = Ops::kNormBlock;
  const Shape local = local_shape(spec, mesh_, coord_);
  const int64_t position = positions_;
  positions_ += (local.elements() + kBlock - 1) / kBlock * kBlock;
  global_elements_ += elements(spec);
  if (!is_on_stage(spec, coord_.pp)) return nullptr;
  auto p = std::make_unique<Parameter>();
  p->index = parameters_.size();
  p->position = position;
  p->local = local;
  const std::vector<Region> held = regions(spec, mesh_, coord_);
  if (!held.empty()) p->first_row = held.front().offset[0];
  p->spec = std::move(spec);
  parameters_.push_back(std::move(p));
  return parameters_.back().get();
}

void ParameterSet::allocate(Arena& values, Arena* grads, DType dtype) {
  std::vector<ShardLayout::Entry> entries;
  for (const auto& p : parameters_) {
    // Stages that hold the same parameter must cut it alike.
    entries.push_back({.elements = p->local.elements(),
                       .unit = static_cast<int>(p->spec.unit),
                       .alone = p->spec.stages.size() > 1});
  }
  const auto bucket_elements = sharding_.bucket_bytes / static_cast<int64_t>(size_of(dtype));
  layout_ = ShardLayout(entries, gradient_ranks(mesh_), bucket_elements, false);
  allocate_buckets(values, grads, dtype);
  for (const auto& p : parameters_) place(*p);
}

void ParameterSet::allocate_buckets(Arena& values, Arena* grads, DType dtype) {
  const int rank = gradient_rank(coord_, mesh_);
  buckets_.clear();
  for (const ShardLayout::Bucket& b : layout_.buckets()) {
    const auto own = [&](const Tensor& all) {
      return sharding_.zero == 0 ? all : all.slice(rank * b.share, (rank + 1) * b.share);
    };
    BucketMemory memory;
    memory.values = values.allocate({layout_.elements(b)}, dtype);
    memory.own_values = own(memory.values);
    if (grads != nullptr) {
      memory.grads = grads->allocate({layout_.elements(b)}, dtype);
      memory.own_grads = own(memory.grads);
    }
    buckets_.push_back(memory);
  }
}

// Gives a parameter its windows on the bucket it lies in.
void ParameterSet::place(Parameter& p) {
  const BucketMemory& memory = buckets_[layout_.bucket_of(p.index)];
  const int64_t begin = layout_.offset(p.index);
  const int64_t elements = p.local.elements();
  p.own = sharding_.zero == 0 ? ElementRange{0, elements} : share(p);
  const auto window = [&](const Tensor& bucket) { return bucket.slice(begin, begin + elements); };
  const auto own = [&](const Tensor& all) { return all.slice(p.own.begin, p.own.end); };
  p.value = window(memory.values).view(p.local);
  p.own_value = own(window(memory.values));
  if (memory.grads.empty()) return;
  p.grad = window(memory.grads).view(p.local);
  p.own_grad = own(window(memory.grads));
}

void ParameterSet::initialize(uint64_t seed, Device& device, Stream& stream) {
  if (!device.has_memory()) return;
  std::vector<float> f32;
  std::vector<double> f64;
  for (const auto& p : parameters_) {
    f32.resize(static_cast<size_t>(p->local.elements()));
    for (const Region& r : regions(p->spec, mesh_, coord_)) {
      initial_values(p->spec, r, seed, f32.data() + r.local_begin);
    }
    const void* source = f32.data();
    if (p->value.dtype() == DType::f64) {
      f64.assign(f32.begin(), f32.end());
      source = f64.data();
    }
    device.copy_to_device(p->value.raw(), source, p->value.bytes(), stream);
    stream.synchronize();
  }
}

}  // namespace weft
