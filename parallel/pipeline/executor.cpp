#include "parallel/pipeline/executor.h"

namespace weft {

PipelineExecutor::PipelineExecutor(Mesh& mesh, Device& device, Stream& compute)
    : device_(device), compute_(compute) {
  const auto open = [&](Channel& channel, const std::unique_ptr<Communicator>& group) {
    if (group == nullptr) return;
    channel.group = group.get();
    channel.stream = device.make_stream(StreamKind::communication);
  };
  for (const bool descending : {false, true}) {
    const PipelineChannels& groups = mesh.channels(descending);
    Channels& mine = channels_[static_cast<size_t>(descending)];
    open(mine.act_in, groups.act_in);
    open(mine.act_out, groups.act_out);
    open(mine.grad_in, groups.grad_in);
    open(mine.grad_out, groups.grad_out);
  }
}

void PipelineExecutor::make_events(int count, Events& events) {
  while (static_cast<int>(events.size()) < count) events.push_back(device_.make_event());
}

void PipelineExecutor::allocate(Arena& arena, const StagePlan& plan, const Shape& activation,
                                DType dtype) {
  const auto tensors = [&](int count, std::vector<Tensor>& out) {
    out.clear();
    for (int i = 0; i < count; ++i) out.push_back(arena.allocate(activation, dtype));
  };
  tensors(plan.inputs, inputs_);
  tensors(plan.grads, grads_);
  outputs_.resize(static_cast<size_t>(plan.slots));
  for (Events* events : {&output_ready_, &slot_sent_}) make_events(plan.slots, *events);
  for (Events* events : {&input_ready_, &input_free_}) make_events(plan.inputs, *events);
  for (Events* events : {&grad_ready_, &grad_made_, &grad_free_}) make_events(plan.grads, *events);
}

void PipelineExecutor::transfer(Channel& channel, P2P::Kind kind, const Tensor& tensor) {
  const std::array<P2P, 1> message{{{kind, 1 - channel.group->rank(), tensor}}};
  channel.group->exchange(message, *channel.stream);
}

void PipelineExecutor::receive(Channel& from, const Tensor& into, Event& free, Event& ready) {
  from.stream->wait(free);
  transfer(from, P2P::Kind::receive, into);
  from.stream->record(ready);
}

void PipelineExecutor::send(Channel& to, const Tensor& tensor, Event& ready, Event& sent) {
  compute_.record(ready);
  to.stream->wait(ready);
  transfer(to, P2P::Kind::send, tensor);
  to.stream->record(sent);
}

Tensor PipelineExecutor::input_of(const PlannedStep& step) const {
  if (step.input_slot != kNoPlace) return outputs_[static_cast<size_t>(step.input_slot)];
  return step.input != kNoPlace ? inputs_[static_cast<size_t>(step.input)] : Tensor();
}

void PipelineExecutor::run(const PlannedStep& step, StageWork& work) {
  Channels& channels = channels_[static_cast<size_t>(step.descends)];
  const auto slot = static_cast<size_t>(step.slot), input = static_cast<size_t>(step.input),
             grad = static_cast<size_t>(step.grad);
  switch (step.step.act) {
    case Act::recv_act:
      return receive(channels.act_in, inputs_[input], *input_free_[input], *input_ready_[input]);
    case Act::recv_grad:
      return receive(channels.grad_in, grads_[grad], *grad_free_[grad], *grad_ready_[grad]);
    case Act::send_act:
      return send(channels.act_out, outputs_[slot], *output_ready_[slot], *slot_sent_[slot]);
    case Act::send_grad:
      return send(channels.grad_out, grads_[grad], *grad_made_[grad], *grad_free_[grad]);
    case Act::forward:
      if (step.received) compute_.wait(*input_ready_[input]);
      compute_.wait(*slot_sent_[slot]);
      outputs_[slot] = work.forward(step.step, step.slot, input_of(step));
      break;
    case Act::backward:
      compute_.wait(step.received ? *grad_ready_[grad] : *grad_free_[grad]);
      work.backward(step.step, step.slot, grads_[grad]);
      if (step.frees_grad) compute_.record(*grad_free_[grad]);
      break;
    case Act::backward_weights:
      work.backward_weights(step.step, step.slot);
      break;
  }
  if (step.frees_input) compute_.record(*input_free_[input]);
}

void PipelineExecutor::run(const StagePlan& plan, StageWork& work) {
  WEFT_CHECK(plan.slots <= static_cast<int>(outputs_.size()) &&
                 plan.inputs <= static_cast<int>(inputs_.size()) &&
                 plan.grads <= static_cast<int>(grads_.size()),
             "a plan of {} slots, {} inputs and {} gradients runs in {}, {} and {}", plan.slots,
             plan.inputs, plan.grads, outputs_.size(), inputs_.size(), grads_.size());
  for (const PlannedStep& step : plan.steps) run(step, work);
}

void PipelineExecutor::synchronize() {
  for (Channels& channels : channels_) {
    for (Channel* channel : channels.all()) {
      if (channel->stream) channel->stream->synchronize();
    }
  }
}

}  // namespace weft
