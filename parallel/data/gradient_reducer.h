// GradientReducer: sums gradients over the gradient group (dp and cp) in buckets, while backward
// still runs; each rank keeps whole gradients (ZeRO 0 and 1).
//
// Gradients become ready in reverse order of memory. As soon as the last gradient of a bucket has
// been added to in the last micro-batch, the sum of the bucket starts on the communication stream,
// behind an event of the compute stream: an all-reduce, or with ZeRO a reduce-scatter, which leaves
// each rank the sum of its own share. A gradient of which every tensor-parallel rank has a part is
// summed over them first, on the compute stream.
//
// Elastic: the gradient memory holds one micro-batch, a leaf of the tree, and the set's levels hold
// the sums of 1, 2, 4, ... leaves that wait for their neighbour (gradient_tree.h).
#pragma once

#include <memory>
#include <vector>

#include "core/mesh/mesh.h"
#include "core/ops/ops.h"
#include "parallel/data/gradient_sum.h"

namespace weft {

class GradientReducer final : public GradientSum {
 public:
  // Everything is borrowed. Call after the set was allocated.
  GradientReducer(ParameterSet& parameters, Mesh& mesh, Device& device, Stream& communication,
                  Ops& ops);

  void begin(int64_t micro_batches) override;
  void gradient_ready(Parameter& parameter, Stream& stream) override;
  void finish(Stream& stream) override;

 private:
  struct Bucket {
    int64_t pending = 0;  // parameters whose gradient is not complete
    std::unique_ptr<Event> ready;
  };

  void add_leaf(const Parameter& parameter, int64_t leaf, Stream& stream);
  void reduce(size_t bucket, Stream& stream);

  ParameterSet& parameters_;
  Mesh& mesh_;
  Stream& communication_;
  Ops& ops_;
  std::unique_ptr<Event> done_;
  int64_t micro_batches_ = 0;
  std::vector<Bucket> buckets_;  // of the set's layout
  std::vector<int64_t> added_;   // by parameter: micro-batches whose gradient has been added
};

}  // namespace weft
