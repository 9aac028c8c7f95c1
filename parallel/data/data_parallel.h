// DataParallel: everything that ranks of the gradient group (dp and cp) exchange about parameters,
// whatever the ZeRO stage (arXiv 1910.02054).
//
//   data_parallel.begin_step(micro_batches);
//   forward and backward of each, with ctx.units = data_parallel.units() and
//       data_parallel.gradients() as the listener
//   data_parallel.finish_gradients(stream);     // this rank owns complete sums
//   optimizer.step(..., data_parallel.updates());
//   data_parallel.finish_updates(stream);       // weights are as updated, wherever they are read
#pragma once

#include <memory>

#include "core/mesh/mesh.h"
#include "core/mesh/parameter.h"
#include "core/ops/ops.h"
#include "parallel/data/gradient_sum.h"
#include "parallel/data/unit_gatherer.h"
#include "parallel/data/weight_gatherer.h"

namespace weft {

class DataParallel {
 public:
  // Everything is borrowed. Call after the set was allocated. All collectives run on
  // `communication`.
  DataParallel(ParameterSet& parameters, Mesh& mesh, Device& device, Stream& communication,
               Ops& ops);

  void begin_step(int64_t micro_batches);
  GradientListener* gradients() { return sum_.get(); }
  UnitListener* units() { return units_.get(); }  // null when nothing depends on units
  // Whether ranks talk, or memory is made ready for a unit, within such a pass; where they do not,
  // listeners may also be told of its gradients after it, and of its units not at all.
  bool acts_within(Pass pass) const { return gatherer_ || (units_ && pass == Pass::backward); }
  void finish_gradients(Stream& stream) { sum_->finish(stream); }
  UpdateListener* updates() { return weights_.get(); }  // null when nobody waits for updates
  void finish_updates(Stream& stream);

 private:
  class Units;

  std::unique_ptr<GradientSum> sum_;
  std::unique_ptr<WeightGatherer> weights_;  // ZeRO 1 and 2
  std::unique_ptr<UnitGatherer> gatherer_;   // ZeRO 3
  std::unique_ptr<UnitListener> units_;      // ZeRO 2 and 3
};

}  // namespace weft
