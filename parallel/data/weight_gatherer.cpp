#include "parallel/data/weight_gatherer.h"

namespace weft {

WeightGatherer::WeightGatherer(ParameterSet& parameters, Mesh& mesh, Device& device,
                               Stream& communication)
    : parameters_(parameters),
      mesh_(mesh),
      communication_(communication),
      done_(device.make_event()) {
  for (size_t b = 0; b < parameters.layout().buckets().size(); ++b) {
    updated_.push_back(device.make_event());
  }
}

void WeightGatherer::value_updated(const Parameter& parameter, Stream& stream) {
  const size_t bucket = parameters_.layout().bucket_of(parameter.index);
  const ShardLayout::Bucket& place = parameters_.layout().buckets()[bucket];
  if (parameter.index + 1 < place.last) return;
  stream.record(*updated_[bucket]);
  communication_.wait(*updated_[bucket]);
  const ParameterSet::BucketMemory& memory = parameters_.bucket(bucket);
  mesh_.group(place.replicas).all_gather(memory.own_values, memory.values, communication_);
}

void WeightGatherer::finish(Stream& stream) {
  communication_.record(*done_);
  stream.wait(*done_);
}

}  // namespace weft
