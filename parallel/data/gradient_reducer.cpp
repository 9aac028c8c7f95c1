#include "parallel/data/gradient_reducer.h"

#include "parallel/data/gradient_tree.h"

namespace weft {

GradientReducer::GradientReducer(ParameterSet& parameters, Mesh& mesh, Device& device,
                                 Stream& communication, Ops& ops)
    : parameters_(parameters),
      mesh_(mesh),
      communication_(communication),
      ops_(ops),
      done_(device.make_event()),
      buckets_(parameters.layout().buckets().size()),
      added_(parameters.gradients()) {
  for (Bucket& b : buckets_) b.ready = device.make_event();
}

void GradientReducer::begin(int64_t micro_batches) {
  micro_batches_ = micro_batches;
  for (size_t i = 0; i < added_.size(); ++i) {
    added_[i] = 0;
    ++buckets_[parameters_.layout().bucket_of(i)].pending;
  }
}

void GradientReducer::gradient_ready(Parameter& parameter, Stream& stream) {
  const int64_t leaf = added_[parameter.index]++;
  const int64_t leaves = micro_batches_ * parameter.uses;
  WEFT_CHECK(leaf < leaves, "gradient of {} became ready once too often", parameter.spec.name);
  const bool last = leaf + 1 == leaves;
  const bool elastic = parameters_.sharding().elastic;
  if (last || elastic) sum_over_tensor_ranks(parameter, mesh_, stream);
  if (elastic) add_leaf(parameter, leaf, stream);
  const size_t bucket = parameters_.layout().bucket_of(parameter.index);
  if (last && --buckets_[bucket].pending == 0) reduce(bucket, stream);
}

// The sum of all leaves ends up where the leaves are made.
void GradientReducer::add_leaf(const Parameter& parameter, int64_t leaf, Stream& stream) {
  const Tensor flat = parameter.grad.view({parameter.grad.elements()});
  const int64_t begin = parameters_.layout().offset(parameter.index);
  const ParameterSet::BucketMemory& memory =
      parameters_.bucket(parameters_.layout().bucket_of(parameter.index));
  const auto level = [&](size_t i) {
    return memory.levels[i].slice(begin, begin + flat.elements());
  };
  const int waits = carry(flat, leaf, level, ops_, stream);
  if (leaf + 1 == micro_batches_) return;
  ops_(op::Copy{.from = flat, .to = level(static_cast<size_t>(waits))}, stream);
  ops_(op::Fill{.x = flat, .value = 0}, stream);
}

void GradientReducer::reduce(size_t bucket, Stream& stream) {
  stream.record(*buckets_[bucket].ready);
  communication_.wait(*buckets_[bucket].ready);
  const ParameterSet::BucketMemory& memory = parameters_.bucket(bucket);
  Communicator& group = mesh_.group(parameters_.layout().buckets()[bucket].replicas);
  if (parameters_.sharding().zero == 0) {
    group.all_reduce(memory.grads, ReduceOp::sum, communication_);
    return;
  }
  group.reduce_scatter(memory.grads, memory.own_grads, communication_);
  const int64_t begin = group.rank() * memory.own_grads.elements();
  const int64_t end = begin + memory.own_grads.elements();
  ops_(op::Fill{.x = memory.grads.slice(0, begin), .value = 0}, communication_);
  ops_(op::Fill{.x = memory.grads.slice(end, memory.grads.elements()), .value = 0}, communication_);
}

void GradientReducer::finish(Stream& stream) {
  for (const Bucket& b : buckets_) {
    WEFT_CHECK(b.pending == 0, "{} gradients never became ready", b.pending);
  }
  add_alias_gradients(parameters_, ops_, communication_);
  communication_.record(*done_);
  stream.wait(*done_);
}

}  // namespace weft
