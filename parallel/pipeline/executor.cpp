#include "parallel/pipeline/executor.h"

#include <algorithm>
#include <array>

namespace weft {

PipelineExecutor::PipelineExecutor(Mesh& mesh, Device& device, Stream& compute)
    : device_(device), compute_(compute) {
  if (mesh.shape().pp == 1) return;
  PipelineChannels& channels = mesh.channels();
  const auto open = [&](Road& road, std::unique_ptr<Communicator>& channel) {
    road.channel = channel.get();
    road.stream = device.make_stream(StreamKind::communication);
  };
  open(act_in_, channels.act_in);
  open(act_out_, channels.act_out);
  open(grad_in_, channels.grad_in);
  open(grad_out_, channels.grad_out);
}

void PipelineExecutor::make_events(Device& device, int count,
                                   std::vector<std::unique_ptr<Event>>& events) {
  while (static_cast<int>(events.size()) < count) events.push_back(device.make_event());
}

void PipelineExecutor::allocate(Arena& arena, const StagePlan& plan, const Shape& activation,
                                DType dtype) {
  const auto tensors = [&](int count, std::vector<Tensor>& out) {
    out.clear();
    for (int i = 0; i < count; ++i) out.push_back(arena.allocate(activation, dtype));
  };
  tensors(plan.inputs, inputs_);
  tensors(plan.grads, grads_);
  make_events(device_, plan.slots, slot_sent_);
  make_events(device_, plan.slots, act_out_.ready);
  make_events(device_, plan.inputs, act_in_.ready);
  make_events(device_, plan.inputs, input_free_);
  make_events(device_, plan.grads, grad_in_.ready);
  make_events(device_, plan.grads, grad_out_.ready);
  make_events(device_, plan.grads, grad_free_);
}

void PipelineExecutor::transfer(Road& road, P2P::Kind kind, const Tensor& tensor) {
  const std::array<P2P, 1> message{{{kind, 1 - road.channel->rank(), tensor}}};
  road.channel->exchange(message, *road.stream);
}

void PipelineExecutor::receive(const PlannedStep& step) {
  if (!step.receives) return;
  const bool forward = step.step.act == Act::forward;
  const auto place = static_cast<size_t>(forward ? step.input : step.grad);
  Road& road = forward ? act_in_ : grad_in_;
  road.stream->wait(*(forward ? input_free_ : grad_free_)[place]);
  transfer(road, P2P::Kind::receive, (forward ? inputs_ : grads_)[place]);
  road.stream->record(*road.ready[place]);
}

void PipelineExecutor::compute(const PlannedStep& step, StageWork& work) {
  const auto slot = static_cast<size_t>(step.slot);
  const bool has_input = step.input != kNoPlace;
  if (step.step.act == Act::forward) {
    if (step.receives) compute_.wait(*act_in_.ready[static_cast<size_t>(step.input)]);
    compute_.wait(*slot_sent_[slot]);
    const Tensor in = has_input ? inputs_[static_cast<size_t>(step.input)] : Tensor();
    const Tensor out = work.forward(step.step, step.slot, in);
    if (step.sends) {
      compute_.record(*act_out_.ready[slot]);
      act_out_.stream->wait(*act_out_.ready[slot]);
      transfer(act_out_, P2P::Kind::send, out);
      act_out_.stream->record(*slot_sent_[slot]);
    }
  } else if (step.step.act == Act::backward) {
    const auto grad = static_cast<size_t>(step.grad);
    compute_.wait(step.receives ? *grad_in_.ready[grad] : *grad_free_[grad]);
    work.backward(step.step, step.slot, grads_[grad]);
    if (step.sends) {
      compute_.record(*grad_out_.ready[grad]);
      grad_out_.stream->wait(*grad_out_.ready[grad]);
      transfer(grad_out_, P2P::Kind::send, grads_[grad]);
      grad_out_.stream->record(*grad_free_[grad]);
    } else {
      compute_.record(*grad_free_[grad]);
    }
  } else {
    work.backward_weights(step.step, step.slot);
  }
  if (step.frees && has_input) compute_.record(*input_free_[static_cast<size_t>(step.input)]);
}

void PipelineExecutor::run(const StagePlan& plan, StageWork& work) {
  WEFT_CHECK(plan.slots <= static_cast<int>(slot_sent_.size()) &&
                 plan.inputs <= static_cast<int>(inputs_.size()) &&
                 plan.grads <= static_cast<int>(grads_.size()),
             "a plan of {} slots, {} inputs and {} gradients runs in {}, {} and {}", plan.slots,
             plan.inputs, plan.grads, slot_sent_.size(), inputs_.size(), grads_.size());
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (i == 0) receive(plan.steps[0]);
    if (i + 1 < plan.steps.size()) receive(plan.steps[i + 1]);
    compute(plan.steps[i], work);
  }
}

void PipelineExecutor::synchronize() {
  for (Road* road : {&act_in_, &act_out_, &grad_in_, &grad_out_}) {
    if (road->stream) road->stream->synchronize();
  }
}

}  // namespace weft
