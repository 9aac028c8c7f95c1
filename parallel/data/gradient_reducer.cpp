#include "parallel/data/gradient_reducer.h"

#include <algorithm>

namespace weft {
namespace {

// From the first byte of `first` to the last of `last`.
Tensor span(const Tensor& first, const Tensor& last) {
  const char* begin = static_cast<const char*>(first.raw());
  const char* end = static_cast<const char*>(last.raw()) + last.bytes();
  const auto bytes = static_cast<size_t>(end - begin);
  return Tensor(first.raw(), {static_cast<int64_t>(bytes / size_of(first.dtype()))}, first.dtype());
}

}  // namespace

GradientReducer::GradientReducer(ParameterSet& parameters, Mesh& mesh, Device& device,
                                 Stream& communication, int64_t bucket_bytes)
    : mesh_(mesh),
      communication_(communication),
      done_(device.make_event()),
      bucket_of_(parameters.size()) {
  size_t last = parameters.size();
  for (size_t i = parameters.size(); i-- > 0;) {
    bucket_of_[i] = buckets_.size();
    const Tensor range = span(parameters[i].grad, parameters[last - 1].grad);
    if (static_cast<int64_t>(range.bytes()) < bucket_bytes && i > 0) continue;
    const int count = static_cast<int>(last - i);
    buckets_.push_back({range, count, count, device.make_event()});
    last = i;
  }
}

void GradientReducer::gradient_ready(Parameter& parameter, Stream& stream) {
  if (mesh_.shape().tp > 1 && reduce_axes(parameter.spec).contains(Axis::tp)) {
    mesh_.axis(Axis::tp).all_reduce(parameter.grad, ReduceOp::sum, stream);
  }
  Bucket& bucket = buckets_[bucket_of_[parameter.index]];
  WEFT_CHECK(bucket.pending > 0, "gradient of {} became ready twice", parameter.spec.name);
  if (--bucket.pending > 0) return;
  stream.record(*bucket.ready);
  communication_.wait(*bucket.ready);
  mesh_.gradient().all_reduce(bucket.range, ReduceOp::sum, communication_);
}

void GradientReducer::finish(Stream& stream) {
  for (Bucket& b : buckets_) {
    WEFT_CHECK(b.pending == 0, "{} gradients never became ready", b.pending);
    b.pending = b.parameters;
  }
  communication_.record(*done_);
  stream.wait(*done_);
}

}  // namespace weft
