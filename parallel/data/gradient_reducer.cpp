#include "parallel/data/gradient_reducer.h"

namespace weft {

GradientReducer::GradientReducer(ParameterSet& parameters, Mesh& mesh, Device& device,
                                 Stream& communication, Ops& ops)
    : parameters_(parameters),
      mesh_(mesh),
      communication_(communication),
      ops_(ops),
      done_(device.make_event()),
      buckets_(parameters.layout().buckets().size()),
      awaited_(parameters.size()) {
  for (Bucket& b : buckets_) b.ready = device.make_event();
}

void GradientReducer::begin(int64_t micro_batches) {
  for (size_t i = 0; i < awaited_.size(); ++i) {
    awaited_[i] = micro_batches;
    ++buckets_[parameters_.layout().bucket_of(i)].pending;
  }
}

void GradientReducer::gradient_ready(Parameter& parameter, Stream& stream) {
  int64_t& awaited = awaited_[parameter.index];
  WEFT_CHECK(awaited > 0, "gradient of {} became ready once too often", parameter.spec.name);
  if (--awaited > 0) return;
  if (mesh_.shape().tp > 1 && reduce_axes(parameter.spec).contains(Axis::tp)) {
    mesh_.axis(Axis::tp).all_reduce(parameter.grad, ReduceOp::sum, stream);
  }
  const size_t bucket = parameters_.layout().bucket_of(parameter.index);
  if (--buckets_[bucket].pending == 0) reduce(bucket, stream);
}

void GradientReducer::reduce(size_t bucket, Stream& stream) {
  stream.record(*buckets_[bucket].ready);
  communication_.wait(*buckets_[bucket].ready);
  const ParameterSet::BucketMemory& memory = parameters_.bucket(bucket);
  if (parameters_.sharding().zero == 0) {
    mesh_.gradient().all_reduce(memory.grads, ReduceOp::sum, communication_);
    return;
  }
  mesh_.gradient().reduce_scatter(memory.grads, memory.own_grads, communication_);
  const int64_t begin = mesh_.gradient().rank() * memory.own_grads.elements();
  const int64_t end = begin + memory.own_grads.elements();
  ops_.fill(memory.grads.slice(0, begin), 0, communication_);
  ops_.fill(memory.grads.slice(end, memory.grads.elements()), 0, communication_);
}

void GradientReducer::finish(Stream& stream) {
  for (const Bucket& b : buckets_) {
    WEFT_CHECK(b.pending == 0, "{} gradients never became ready", b.pending);
  }
  communication_.record(*done_);
  stream.wait(*done_);
}

}  // namespace weft
