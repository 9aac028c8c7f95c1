// Parameter: a ParamSpec with memory. ParameterSet: the parameters of a rank's part of the model,
// in forward order, values and gradients laid out in flat buckets (shard_layout.h).
//
// What a rank owns of a parameter it updates: everything, or, with ZeRO (arXiv 1910.02054), its
// share among the ranks that hold the same parameter.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/device.h"
#include "core/mesh/placement.h"
#include "core/mesh/shard_layout.h"
#include "core/mesh/unit_listener.h"
#include "core/tensor/arena.h"

namespace weft {

struct Parameter {
  size_t index;  // in its ParameterSet, in order of registration
  ParamSpec spec;
  Shape local;                    // shape on this rank
  bool frozen = false;            // the run leaves its value as it is
  Grain grain = Grain::elements;  // of ZeRO's shares of it; decided before allocate()
  int64_t first_row = 0;          // global row of local row 0, where dim 0 is one segment
  int64_t unit = 0;               // in which this rank uses it
  int64_t uses = 1;               // by this rank, in each of which its gradient becomes ready
  // First element in the flat order of the whole model as this tensor-parallel coordinate cuts it,
  // each parameter padded to whole kNormBlocks; the same for every dp, pp and ZeRO stage.
  int64_t position = 0;
  // Windows on the set's memory; empty before allocate(). value is what is computed with. With ZeRO
  // 3, it is there only from UnitListener::before_unit on; with ZeRO 2 and 3 the same holds for
  // grad in backward.
  Tensor value;
  Tensor grad;
  // The local elements that this rank owns, and flat windows on them. own_master is what is
  // updated: own_value itself, or where that is of a 16-bit type, what it is rounded from.
  ElementRange own;
  Tensor own_value;
  Tensor own_master;
  Tensor own_grad;
  // The parameter whose value this is too; its gradient is a part of that one's. Else null.
  Parameter* alias_of = nullptr;
};

// What is shared out over the gradient group, in which portions, and how gradients are added.
struct Sharding {
  int zero = 0;  // 1: optimizer state, 2: and gradients, 3: and parameters
  int64_t bucket_bytes = int64_t{25} << 20;
  // Gradients of the micro-batches of a step on this rank, a power of two of them, are added in a
  // binary tree, for which this many levels of further gradient memory are kept.
  bool elastic = false;
  int tree_levels = 0;

  // Whether a second use of a parameter needs an accumulator of its own.
  bool separates_aliases() const { return elastic || zero >= 2; }
};

class ParameterSet {
 public:
  // Slots of transient memory that the units of the model take turns in.
  static constexpr size_t kSlots = 2;
  static size_t slot_of(int64_t unit) { return static_cast<size_t>(unit) % kSlots; }

  // The memory of one bucket, padding and all: of every rank, and this rank's own part of it (the
  // whole without ZeRO). `values` lies in a slot with ZeRO 3, `grads` in one with 2 and 3.
  // Gradients are empty in inference. `levels` are like grads, with ZeRO 2 and 3 like own_grads.
  // own_masters are empty where values are updated themselves.
  struct BucketMemory {
    Tensor values, own_values;
    Tensor own_masters;
    Tensor grads, own_grads;
    std::vector<Tensor> levels;
  };

  ParameterSet(const MeshShape& mesh, const MeshCoord& coord, const Sharding& sharding = {})
      : mesh_(mesh), coord_(coord), sharding_(sharding) {}

  // Registers a parameter of the model, in forward order; every rank registers all of them. Null
  // when this rank's pipeline stage does not hold it, else valid for the life of the set.
  Parameter* add(ParamSpec spec);
  // Registers a second use of a parameter of this set, in `unit`: the same value, a gradient of its
  // own, which is to be added to the parameter's. After all parameters.
  Parameter* add_alias(Parameter& of, int64_t unit);
  // The parameter of that name, or the alias of it for that unit. Null where this rank holds none.
  Parameter* find(std::string_view name, std::optional<int64_t> unit = {}) const;
  // The same where there must be one.
  Parameter& at(std::string_view name, std::optional<int64_t> unit = {}) const;

  // Lays values out in the order of registration, in `dtype`, and gradients in its accumulator's
  // type, each parameter at a multiple of kNormBlock elements. An absent gradient arena leaves
  // gradients empty (inference). Where values are of a 16-bit type, master weights of the
  // accumulator's lie in `masters`; absent, there are none and no updates.
  void allocate(Arena& values, Arena* grads, DType dtype, Arena* masters = nullptr);
  // Whether there are master weights beside the values.
  bool has_masters() const { return has_masters_; }

  // Fills this rank's values and masters: each element is a function of (seed, logical tensor name,
  // global element index) alone, rounded to nearest where the type is narrower than f32, so every
  // mesh starts from the same weights.
  void initialize(uint64_t seed, Device& device, Stream& stream);

  // What follows is about the parameters that this rank holds.
  size_t size() const { return parameters_.size(); }
  Parameter& operator[](size_t i) { return *parameters_[i]; }
  const Parameter& operator[](size_t i) const { return *parameters_[i]; }
  auto begin() const { return parameters_.begin(); }  // of unique_ptr<Parameter>
  auto end() const { return parameters_.end(); }
  const std::vector<std::unique_ptr<Parameter>>& aliases() const { return aliases_; }
  // Parameters and aliases: each has an index below this, and a gradient.
  size_t gradients() const { return parameters_.size() + aliases_.size(); }

  const MeshShape& mesh() const { return mesh_; }
  const MeshCoord& coord() const { return coord_; }
  const Sharding& sharding() const { return sharding_; }
  int64_t global_elements() const { return global_elements_; }  // of the whole model
  int64_t positions() const { return positions_; }              // one past the last position

  // After allocate().
  const ShardLayout& layout() const { return layout_; }
  const BucketMemory& bucket(size_t i) const { return buckets_[i]; }
  // The share of a parameter's local elements that is this rank's among those that hold the same:
  // what it owns with ZeRO, and what it writes to checkpoints in any case.
  ElementRange share(const Parameter& parameter) const {
    return layout_.share(parameter.index, rank_in(layout_.bucket_of(parameter.index)));
  }
  // The number of this rank among those that share bucket `i`.
  int rank_in(size_t i) const { return index_in(layout_.buckets()[i].replicas, coord_, mesh_); }
  // The elements of a parameter that this rank always has, as they are updated, and a flat window
  // on them: those it owns of masters, else those of values.
  struct Values {
    ElementRange range;
    Tensor elements;
  };
  Values kept_values(const Parameter& parameter) const;
  // Whether every rank that holds the same keeps it whole.
  bool keeps_all_values() const {
    return sharding_.zero == 0 || (sharding_.zero < 3 && !has_masters_);
  }

 private:
  Grain grain_of(const Parameter& parameter) const;
  int64_t largest_part(const ParamSpec& spec) const;
  void make_layout(DType dtype);
  void allocate_values(Arena& arena, DType dtype);
  void allocate_masters(Arena& arena, DType dtype);
  void allocate_grads(Arena& arena, DType dtype);
  std::vector<Tensor> allocate_slots(Arena& arena, DType dtype);
  void place(Parameter& parameter);
  Tensor own_part(size_t bucket, const Tensor& all) const;

  MeshShape mesh_;
  MeshCoord coord_;
  Sharding sharding_;
  int64_t global_elements_ = 0;
  int64_t positions_ = 0;
  bool has_masters_ = false;
  std::vector<std::unique_ptr<Parameter>> parameters_;
  std::vector<std::unique_ptr<Parameter>> aliases_;
  std::map<std::string, Parameter*, std::less<>> by_name_;
  ShardLayout layout_;
  std::vector<BucketMemory> buckets_;
};

// Notified for each use of a parameter when its gradient of a micro-batch has been added on this
// rank; compute on `stream` up to this call has produced it. Parameters come nearly in reverse
// order of registration, and each one's micro-batches in order.
class GradientListener {
 public:
  virtual ~GradientListener() = default;
  virtual void gradient_ready(Parameter& parameter, Stream& stream) = 0;
};

// Notified when the optimizer has written what this rank owns of a parameter's value; compute on
// `stream` up to this call has done it. Parameters come in order of registration.
class UpdateListener {
 public:
  virtual ~UpdateListener() = default;
  virtual void value_updated(const Parameter& parameter, Stream& stream) = 0;
};

}  // namespace weft
