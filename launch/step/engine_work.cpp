#include "launch/step/engine_work.h"

namespace weft {

int64_t Engine::Work::index_of(const Step& unit) const {
  return engine_.plan_.micro_batch(engine_.rank_.mesh.coord().dp, unit.microbatch);
}

int64_t Engine::Work::sample_of(const Step& unit) const {
  return first_ + index_of(unit) * engine_.plan_.rows();
}

Context Engine::Work::context(const Step& unit) {
  return engine_.context(*engine_.memory_, engine_.rank_.ops, engine_.groups(), update_,
                         sample_of(unit), training_);
}

void Engine::Work::clear_loss(const MicroBatch& batch) {
  engine_.rank_.ops(op::Fill{.x = batch.loss_sum, .value = 0}, engine_.rank_.compute);
}

void Engine::Work::report_loss(const Step& unit, const MicroBatch& batch) {
  engine_.rank_.ops(op::Copy{.from = batch.loss_sum,
                             .to = engine_.report_.loss(engine_.loss_slot(index_of(unit)))},
                    engine_.rank_.compute);
}

// Not where ranks talk within the pass, nor in the last micro-batch of a step where sums over ranks
// are to run under the rest of its backward.
bool Engine::Work::may_record(const Step& unit, Pass pass) const {
  if (engine_.data_parallel_->acts_within(pass)) return false;
  const bool last = unit.microbatch + 1 == engine_.plan_.micro_batches();
  const bool alone = engine_.rank_.mesh.shape().size(data_axes()) == 1;
  return pass == Pass::forward || alone || !last;
}

template <typename Body>
Tensor Engine::Work::run(const Step& unit, int slot, Pass pass, const Body& body) {
  GradientListener* listener = engine_.data_parallel_->gradients();
  if (!may_record(unit, pass)) return body(listener);
  UnitMemory& memory = memory_of(slot);
  return engine_.passes_.run({unit.act, unit.chunk, slot, memory.in.raw(), memory.grad.raw()},
                             memory.saved, listener, body);
}

Tensor Engine::Work::forward(const Step& unit, int slot, const Tensor& in) {
  UnitMemory& memory = memory_of(slot);
  memory.in = in;
  memory.grad = Tensor();
  const GptPart& part = part_of(unit);
  if (part.embeds || part.has_head) engine_.inputs_.load(sample_of(unit), fill_, memory.batch);
  if (!training_) return evaluate(unit, in, memory);
  return run(unit, slot, Pass::forward, [&](GradientListener*) {
    Context ctx = context(unit);
    return engine_.model_.forward(unit.chunk, memory.batch, in, memory.saved, ctx);
  });
}

Tensor Engine::Work::evaluate(const Step& unit, const Tensor& in, UnitMemory& memory) {
  Context ctx = context(unit);
  if (part_of(unit).has_head) clear_loss(memory.batch);
  const Tensor out = engine_.model_.evaluate(unit.chunk, memory.batch, in, memory.saved, ctx);
  if (part_of(unit).has_head) report_loss(unit, memory.batch);
  return out;
}

void Engine::Work::backward(const Step& unit, int slot, const Tensor& grad) {
  UnitMemory& memory = memory_of(slot);
  memory.grad = grad;
  if (part_of(unit).has_head) clear_loss(memory.batch);
  run(unit, slot, Pass::backward, [&](GradientListener* listener) {
    Context ctx = context(unit);
    ctx.gradients = listener;
    engine_.model_.backward(unit.chunk, memory.batch, grad, memory.saved, ctx);
    return Tensor();
  });
  if (part_of(unit).has_head) report_loss(unit, memory.batch);
}

void Engine::Work::backward_weights(const Step& unit, int slot) {
  UnitMemory& memory = memory_of(slot);
  run(unit, slot, Pass::backward, [&](GradientListener* listener) {
    Context ctx = context(unit);
    ctx.gradients = listener;
    engine_.model_.backward_weights(unit.chunk, memory.saved, ctx);
    return Tensor();
  });
}

}  // namespace weft
