#include "parallel/data/data_parallel.h"

#include "parallel/data/gradient_reducer.h"
#include "parallel/data/gradient_sharder.h"

namespace weft {

// Weights first, because their gathers are what a unit waits for longest.
class DataParallel::Units final : public UnitListener {
 public:
  Units(UnitListener* weights, UnitListener& gradients)
      : weights_(weights), gradients_(gradients) {}

  void before_unit(int64_t unit, Pass pass, Stream& stream) override {
    if (weights_ != nullptr) weights_->before_unit(unit, pass, stream);
    gradients_.before_unit(unit, pass, stream);
  }

 private:
  UnitListener* weights_;
  UnitListener& gradients_;
};

DataParallel::DataParallel(ParameterSet& parameters, Mesh& mesh, Device& device,
                           Stream& communication, Ops& ops) {
  const int zero = parameters.sharding().zero;
  if (zero < 2) {
    sum_ = std::make_unique<GradientReducer>(parameters, mesh, device, communication, ops);
  } else {
    sum_ = std::make_unique<GradientSharder>(parameters, mesh, device, communication, ops);
  }
  if (zero == 1 || zero == 2) {
    weights_ = std::make_unique<WeightGatherer>(parameters, mesh, device, communication);
  }
  if (zero == 3) {
    gatherer_ = std::make_unique<UnitGatherer>(parameters, mesh, device, communication);
  }
  if (zero >= 2) units_ = std::make_unique<Units>(gatherer_.get(), *sum_);
}

void DataParallel::begin_step(int64_t micro_batches) {
  sum_->begin(micro_batches);
  if (gatherer_) gatherer_->begin(micro_batches);
}

void DataParallel::finish_updates(Stream& stream) {
  if (weights_) weights_->finish(stream);
  if (gatherer_) gatherer_->invalidate();
}

}  // namespace weft
