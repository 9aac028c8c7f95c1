#include "parallel/data/gradient_sharder.h"

#include "parallel/data/gradient_tree.h"

namespace weft {

GradientSharder::GradientSharder(ParameterSet& parameters, Mesh& mesh, Device& device,
                                 Stream& communication, Ops& ops)
    : parameters_(parameters),
      mesh_(mesh),
      communication_(communication),
      ops_(ops),
      buckets_(parameters.layout().buckets().size()),
      done_(device.make_event()) {
  for (Bucket& b : buckets_) b.ready = device.make_event();
  for (auto& event : cleared_) event = device.make_event();
}

void GradientSharder::begin(int64_t micro_batches) {
  micro_batches_ = micro_batches;
  for (size_t b = 0; b < buckets_.size(); ++b) {
    const ShardLayout::Bucket& bucket = parameters_.layout().buckets()[b];
    buckets_[b].pending = bucket.last - bucket.first;
    buckets_[b].reduced = 0;
  }
}

void GradientSharder::before_unit(int64_t unit, Pass pass, Stream& stream) {
  if (pass == Pass::backward) stream.wait(*cleared_[ParameterSet::slot_of(unit)]);
}

void GradientSharder::gradient_ready(Parameter& parameter, Stream& stream) {
  sum_over_tensor_ranks(parameter, mesh_, stream);
  const size_t bucket = parameters_.layout().bucket_of(parameter.index);
  WEFT_CHECK(buckets_[bucket].reduced < micro_batches_, "gradient of {} became ready too often",
             parameter.spec.name);
  if (--buckets_[bucket].pending == 0) reduce(bucket, stream);
}

void GradientSharder::reduce(size_t bucket, Stream& stream) {
  Bucket& state = buckets_[bucket];
  const ShardLayout::Bucket& place = parameters_.layout().buckets()[bucket];
  const Tensor& grads = parameters_.bucket(bucket).grads;
  Communicator& group = mesh_.group(place.replicas);
  const int64_t begin = group.rank() * place.share;
  const Tensor own = grads.slice(begin, begin + place.share);
  stream.record(*state.ready);
  communication_.wait(*state.ready);
  group.reduce_scatter(grads, own, communication_);
  add_leaf(bucket, own);
  ops_(op::Fill{.x = grads, .value = 0}, communication_);
  communication_.record(*cleared_[ParameterSet::slot_of(place.unit)]);
  ++state.reduced;
  state.pending = place.last - place.first;
}

void GradientSharder::add_leaf(size_t bucket, const Tensor& leaf) {
  const ParameterSet::BucketMemory& memory = parameters_.bucket(bucket);
  if (!parameters_.sharding().elastic) {
    ops_(op::Add{.a = memory.own_grads, .b = leaf, .y = memory.own_grads}, communication_);
    return;
  }
  const auto level = [&](size_t i) { return memory.levels[i]; };
  const int64_t number = buckets_[bucket].reduced;
  const int waits = carry(leaf, number, level, ops_, communication_);
  const bool last = number + 1 == micro_batches_;
  ops_(op::Copy{.from = leaf, .to = last ? memory.own_grads : level(static_cast<size_t>(waits))},
       communication_);
}

void GradientSharder::finish(Stream& stream) {
  for (const Bucket& b : buckets_) {
    WEFT_CHECK(b.reduced == micro_batches_, "gradients of {} of {} micro-batches became ready",
               b.reduced, micro_batches_);
  }
  add_alias_gradients(parameters_, ops_, communication_);
  communication_.record(*done_);
  stream.wait(*done_);
}

}  // namespace weft
