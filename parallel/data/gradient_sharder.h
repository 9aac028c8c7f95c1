// GradientSharder: with ZeRO 2 and 3 a rank keeps the gradients of its own share alone.
//
// Backward adds into one of two transient slots, the units of the model taking turns. When all
// gradients of a bucket have a micro-batch's share, its sum over the gradient group (dp and cp) is
// scattered on the communication stream and added to what this rank owns; then the slot is cleared
// for the next unit but one, whose backward waits for that.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "parallel/data/gradient_sum.h"

namespace weft {

class GradientSharder final : public GradientSum {
 public:
  // Everything is borrowed. Call after the set was allocated.
  GradientSharder(ParameterSet& parameters, Mesh& mesh, Device& device, Stream& communication,
                  Ops& ops);

  void begin(int64_t micro_batches) override;
  void before_unit(int64_t unit, Pass pass, Stream& stream) override;
  void gradient_ready(Parameter& parameter, Stream& stream) override;
  void finish(Stream& stream) override;

 private:
  struct Bucket {
    size_t pending = 0;   // parameters without this micro-batch's share
    int64_t reduced = 0;  // micro-batches
    std::unique_ptr<Event> ready;
  };

  void reduce(size_t bucket, Stream& stream);
  void add_leaf(size_t bucket, const Tensor& leaf);

  ParameterSet& parameters_;
  Mesh& mesh_;
  Stream& communication_;
  Ops& ops_;
  int64_t micro_batches_ = 0;
  std::vector<Bucket> buckets_;                                       // of the set's layout
  std::array<std::unique_ptr<Event>, ParameterSet::kSlots> cleared_;  // by slot
  std::unique_ptr<Event> done_;
};

}  // namespace weft
