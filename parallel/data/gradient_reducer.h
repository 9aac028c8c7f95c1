// GradientReducer: sums gradients over the data-parallel group in buckets, while backward still
// runs.
//
// Gradients lie in memory in forward order and become ready in reverse, so a bucket is a contiguous
// run of the gradient arena that fills from its end. As soon as its last gradient is ready the sum
// starts on the communication stream, behind an event of the compute stream. A gradient of which
// every tensor-parallel rank has a part is summed over them first, on the compute stream.
#pragma once

#include <memory>
#include <vector>

#include "core/dist/mesh.h"
#include "core/dist/parameter.h"

namespace weft {

class GradientReducer final : public GradientListener {
 public:
  // `bucket_bytes` is the least size of a bucket (the last may be smaller). Everything is borrowed.
  // Call after the set was allocated.
  GradientReducer(ParameterSet& parameters, Mesh& mesh, Device& device, Stream& communication,
                  int64_t bucket_bytes);

  void gradient_ready(Parameter& parameter, Stream& stream) override;
  // Makes `stream` wait for all sums; a WEFT_CHECK fails if a gradient never became ready.
  // Afterwards the reducer is as new.
  void finish(Stream& stream);

  size_t buckets() const { return buckets_.size(); }

 private:
  struct Bucket {
    Tensor range;
    int parameters = 0;  // that lie in it
    int pending = 0;     // of these, not ready yet
    std::unique_ptr<Event> ready;
  };

  Mesh& mesh_;
  Stream& communication_;
  std::unique_ptr<Event> done_;
  std::vector<Bucket> buckets_;    // in the order of readiness
  std::vector<size_t> bucket_of_;  // by parameter index
};

}  // namespace weft
