// Parameter: a ParamSpec with memory. ParameterSet: all parameters of a rank's part of the model,
// in forward order, values and gradients each one contiguous run of memory.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/device/device.h"
#include "core/dist/placement.h"
#include "core/tensor/arena.h"

namespace weft {

struct Parameter {
  size_t index;  // in its ParameterSet, in order of registration
  ParamSpec spec;
  Shape local;            // shape on this rank
  int64_t first_row = 0;  // global row of local row 0, where dim 0 is one segment
  Tensor value;           // windows on the set's memory; empty before allocate()
  Tensor grad;
};

class ParameterSet {
 public:
  ParameterSet(const MeshShape& mesh, const MeshCoord& coord) : mesh_(mesh), coord_(coord) {}

  // Registers a parameter; the reference stays valid for the life of the set.
  Parameter& add(ParamSpec spec);

  // Lays values and gradients out in the order of registration, in `dtype`, each aligned to
  // Arena::kAlignment. An absent gradient arena leaves gradients empty (inference).
  void allocate(Arena& values, Arena* grads, DType dtype);

  // Fills this rank's values: each element is a function of (seed, logical tensor name, global
  // element index) alone, so every mesh starts from the same weights. f32 or f64.
  void initialize(uint64_t seed, Device& device, Stream& stream);

  size_t size() const { return parameters_.size(); }
  Parameter& operator[](size_t i) { return *parameters_[i]; }
  const Parameter& operator[](size_t i) const { return *parameters_[i]; }
  auto begin() const { return parameters_.begin(); }  // of unique_ptr<Parameter>
  auto end() const { return parameters_.end(); }

  const MeshShape& mesh() const { return mesh_; }
  const MeshCoord& coord() const { return coord_; }
  int64_t global_elements() const;  // of the whole model

 private:
  MeshShape mesh_;
  MeshCoord coord_;
  std::vector<std::unique_ptr<Parameter>> parameters_;
};

// Told when a parameter's gradient of this step is complete on this rank; compute on `stream` up to
// this call has produced it. Parameters come in reverse order of registration.
class GradientListener {
 public:
  virtual ~GradientListener() = default;
  virtual void gradient_ready(Parameter& parameter, Stream& stream) = 0;
};

}  // namespace weft
