// GradientReducer: sums gradients over the gradient group (dp and cp) in buckets, while backward
// still runs.
//
// Gradients become ready in reverse order of memory. As soon as the last gradient of a bucket has
// been added to in the last micro-batch, the sum of the bucket starts on the communication stream,
// behind an event of the compute stream: an all-reduce, or with ZeRO a reduce-scatter, which leaves
// each rank the sum of its own share. A gradient of which every tensor-parallel rank has a part is
// summed over them first, on the compute stream.
#pragma once

#include <memory>
#include <vector>

#include "core/dist/mesh.h"
#include "core/dist/parameter.h"
#include "core/ops/ops.h"

namespace weft {

class GradientReducer final : public GradientListener {
 public:
  // Everything is borrowed. Call after the set was allocated.
  GradientReducer(ParameterSet& parameters, Mesh& mesh, Device& device, Stream& communication,
                  Ops& ops);

  // Before the first backward of a step, in which every gradient becomes ready `micro_batches`
  // times.
  void begin(int64_t micro_batches);
  void gradient_ready(Parameter& parameter, Stream& stream) override;
  // Makes `stream` wait for all sums; a WEFT_CHECK fails if a gradient is missing. Afterwards what
  // this rank owns of each gradient is the sum, and what it does not own is zero.
  void finish(Stream& stream);

 private:
  struct Bucket {
    int64_t pending = 0;  // parameters whose gradient is not complete
    std::unique_ptr<Event> ready;
  };

  void reduce(size_t bucket, Stream& stream);

  ParameterSet& parameters_;
  Mesh& mesh_;
  Stream& communication_;
  Ops& ops_;
  std::unique_ptr<Event> done_;
  std::vector<Bucket> buckets_;   // of the set's layout
  std::vector<int64_t> awaited_;  // by parameter: micro-batches whose gradient is not added yet
};

}  // namespace weft
