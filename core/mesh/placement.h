// Placement: how a parameter lies across the mesh, and everything that follows from it.
//
// This is the only description of how a tensor is cut. Initialisation, gradient reduction, sharded
// optimizers, checkpoints, the gradient norm, export and the planner read it through the functions
// below; none of them restates it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/shape.h"
#include "core/mesh/mesh_shape.h"

namespace weft {

// One dim of a parameter is cut over one axis. The dim consists of `segments` (e.g. the q, k and v
// rows of a fused projection; one segment when empty), and every rank holds its share of each of
// them. Shares are whole multiples of `unit` (e.g. head_dim, so that no head is cut); ranks come in
// order and a segment that does not divide leaves the last ranks shorter or empty.
struct Split {
  Axis axis;
  int dim;
  std::vector<int64_t> segments;
  int64_t unit = 1;
};

// An axis that no split names holds replicas. `grad_partial` names the axes over which the local
// gradient of a replicated parameter is only a part of the sum (e.g. norm weights under sequence
// parallelism).
struct Placement {
  std::vector<Split> splits;
  AxisSet grad_partial;
};

// How the tensor-parallel ranks share a parameter out (Megatron-LM, arXiv 1909.08053).
enum class Cut {
  none,                 // all have it, and the whole of its gradient
  none_of_shared_rows,  // all have it, and of its gradient what their rows of activations give
  out,                  // a linear layer by its outputs: rows of [out, in], elements of a bias
  in,                   // a linear layer by its inputs: columns of [out, in]
  rows                  // a table by its rows
};

// `segments` and `unit` as in Split.
Placement placement(Cut cut, std::vector<int64_t> segments = {}, int64_t unit = 1);

struct Init {
  enum class Kind { zeros, ones, normal };
  Kind kind = Kind::zeros;
  double stddev = 0;  // of normal
};

// A named row range of a parameter that is a tensor of its own to the outside: checkpoints hold q,
// k and v, never their fusion.
struct Part {
  std::string name;  // full logical name, e.g. "h.0.attn.q.weight"
  int64_t rows;      // along dim 0
};

struct ParamSpec {
  std::string name;  // "h.0.attn.qkv.weight"
  Shape shape;       // global, unpadded
  Init init;
  bool decay = false;  // weight decay applies
  bool table = false;  // a matrix whose rows are looked up, or scored, each for itself
  Placement place;
  std::vector<int> stages;        // pipeline stages that hold it; empty: every stage
  std::vector<int64_t> units{0};  // of the model that use it, in forward order
  std::vector<Part> parts;        // logical tensors along dim 0; empty: the parameter itself

  // Invariant of parts: their rows add up to shape[0].
};

// A rectangle of a logical tensor that a rank holds, and where its memory lies: `extent.elements()`
// contiguous elements from `local_begin` on in the local parameter, because the rectangle spans
// full local rows or lies within one.
struct Region {
  std::string tensor;    // logical name
  Shape tensor_shape;    // its global shape
  Shape offset, extent;  // in global coordinates
  int64_t local_begin;   // element offset in the local parameter
};

// Shape of the local parameter of the rank at `coord`.
Shape local_shape(const ParamSpec& spec, const MeshShape& mesh, const MeshCoord& coord);

// What the rank at `coord` holds of the logical tensors of `spec`, in the order of its memory.
// Covers the local parameter exactly; empty when the rank's stage does not hold it.
std::vector<Region> regions(const ParamSpec& spec, const MeshShape& mesh, const MeshCoord& coord);

// Elements [begin, end) of a local tensor.
struct ElementRange {
  int64_t begin = 0, end = 0;

  int64_t size() const { return end - begin; }
  bool operator==(const ElementRange&) const = default;
};

// The rectangles of `regions` within elements `range` of the local parameter: of each region at
// most a part of a row, full rows, and a part of a row, in the order of memory. `local_begin` still
// counts from the parameter's first element.
std::vector<Region> clip(const std::vector<Region>& regions, ElementRange range);

// Whether the rank at `coord` owns its regions: among the ranks that differ on `axes` alone
// and hold replicas of an element, exactly one does (index 0 on every replicating axis, the first
// stage that holds it).
bool is_owner(const ParamSpec& spec, const MeshCoord& coord, AxisSet axes = every_axis());

// Whether the ranks of pipeline stage `stage` hold the parameter.
bool is_on_stage(const ParamSpec& spec, int stage);

// Whether the axis cuts the parameter.
bool is_split(const ParamSpec& spec, Axis axis);

// Axes whose ranks hold the same of the parameter and see other tokens: they sum its gradients and
// share its optimizer state out.
AxisSet replica_axes(const ParamSpec& spec);

// The logical tensors of a parameter: its parts, or itself.
std::vector<Part> parts_of(const ParamSpec& spec);

// Elements of the whole parameter, and of all of them.
inline int64_t elements(const ParamSpec& spec) { return spec.shape.elements(); }
int64_t elements(std::span<const ParamSpec> specs);

}  // namespace weft
