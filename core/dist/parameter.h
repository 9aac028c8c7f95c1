// Parameter: a ParamSpec with memory. ParameterSet: the parameters of a rank's part of the
// model, in forward order, values and gradients laid out in flat buckets (shard_layout.h).
//
// What a rank owns of a parameter it updates: everything, or, with ZeRO (arXiv 1910.02054), its
// share among the ranks that hold the same parameter.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/device/device.h"
#include "core/dist/placement.h"
#include "core/dist/shard_layout.h"
#include "core/tensor/arena.h"

namespace weft {

struct Parameter {
  size_t index;  // in its ParameterSet, in order of registration
  ParamSpec spec;
  Shape local;            // shape on this rank
  bool frozen = false;    // the run leaves its value as it is
  int64_t first_row = 0;  // global row of local row 0, where dim 0 is one segment
  // First element in the flat order of all parameters, each padded to whole Ops::kNormBlocks; the
  // same for every dp and ZeRO stage.
  int64_t position = 0;
  // Windows on the set's memory; empty before allocate().
  Tensor value;
  Tensor grad;
  // The local elements that this rank owns, and flat windows on them.
  ElementRange own;
  Tensor own_value;
  Tensor own_grad;
};

// What is sharded over the gradient group, and in which portions.
struct Sharding {
  int zero = 0;  // 1: optimizer state
  int64_t bucket_bytes = int64_t{25} << 20;
};

class ParameterSet {
 public:
  // The memory of one bucket, padding and all: of every rank, and this rank's own part of it (the
  // whole without ZeRO). Gradients are empty in inference.
  struct BucketMemory {
    Tensor values, own_values;
    Tensor grads, own_grads;
  };

  ParameterSet(const MeshShape& mesh, const MeshCoord& coord, const Sharding& sharding = {})
      : mesh_(mesh), coord_(coord), sharding_(sharding) {}

  // Registers a parameter of the model, in forward order; every rank registers all of them. Null
  // when this rank's pipeline stage does not hold it, else valid for the life of the set.
  Parameter* add(ParamSpec spec);

  // Lays values and gradients out in the order of registration, in `dtype`, each parameter at a
  // multiple of Ops::kNormBlock elements. An absent gradient arena leaves gradients empty
  // (inference).
  void allocate(Arena& values, Arena* grads, DType dtype);

  // Fills this rank's values: each element is a function of (seed, logical tensor name, global
  // element index) alone, so every mesh starts from the same weights. f32 or f64.
  void initialize(uint64_t seed, Device& device, Stream& stream);

  // What follows is about the parameters that this rank holds.
  size_t size() const { return parameters_.size(); }
  Parameter& operator[](size_t i) { return *parameters_[i]; }
  const Parameter& operator[](size_t i) const { return *parameters_[i]; }
  auto begin() const { return parameters_.begin(); }  // of unique_ptr<Parameter>
  auto end() const { return parameters_.end(); }

  const MeshShape& mesh() const { return mesh_; }
  const MeshCoord& coord() const { return coord_; }
  const Sharding& sharding() const { return sharding_; }
  int64_t global_elements() const { return global_elements_; }  // of the whole model
  int64_t positions() const { return positions_; }  // one past the last position of the whole model

  // After allocate().
  const ShardLayout& layout() const { return layout_; }
  const BucketMemory& bucket(size_t i) const { return buckets_[i]; }
  // The share of a parameter's local elements that is this rank's among those that hold the same:
  // what it owns with ZeRO, and what it writes to checkpoints in any case.
  ElementRange share(const Parameter& parameter) const {
    return layout_.share(parameter.index, gradient_rank(coord_, mesh_));
  }

 private:
  void allocate_buckets(Arena& values, Arena* grads, DType dtype);
  void place(Parameter& parameter);

  MeshShape mesh_;
  MeshCoord coord_;
  Sharding sharding_;
  int64_t positions_ = 0;
  int64_t global_elements_ = 0;
  std::vector<std::unique_ptr<Parameter>> parameters_;
  ShardLayout layout_;
  std::vector<BucketMemory> buckets_;
};

// Told when a parameter's gradient of a micro-batch has been added on this rank; compute on
// `stream` up to this call has produced it. Parameters come nearly in reverse order of
// registration.
class GradientListener {
 public:
  virtual ~GradientListener() = default;
  virtual void gradient_ready(Parameter& parameter, Stream& stream) = 0;
};

// Told when the optimizer has updated what this rank owns of a parameter; compute on `stream` up to
// this call has done it. Parameters come in order of registration.
class UpdateListener {
 public:
  virtual ~UpdateListener() = default;
  virtual void value_updated(const Parameter& parameter, Stream& stream) = 0;
};

}  // namespace weft
