// PipelineExecutor: carries out one stage's plan. It moves activations and gradients between the
// stages while the stage computes; what is computed is a StageWork's business.
//
// Each channel to and from another stage (PipelineChannels) has a stream of its own, so that
// messages are under way while the stage computes.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "core/device/device.h"
#include "core/mesh/mesh.h"
#include "core/tensor/arena.h"
#include "parallel/pipeline/stage_plan.h"

namespace weft {

// The computation of a unit. `slot` numbers the memory it may use for what backward needs.
class StageWork {
 public:
  virtual ~StageWork() = default;
  // in [S,C] is absent for the first unit of the chain; it stays as it is until the unit is done.
  // Returns the output [S,C], absent for the last unit of the chain, which must stay as it is until
  // the slot is used again.
  virtual Tensor forward(const Step& unit, int slot, const Tensor& in) = 0;
  // grad [S,C]: gradient of the output on entry (anything for the last unit of the chain), of the
  // input on return.
  virtual void backward(const Step& unit, int slot, const Tensor& grad) = 0;
  virtual void backward_weights(const Step& unit, int slot) = 0;
};

class PipelineExecutor {
 public:
  // `compute` and the mesh are borrowed. Without a pipeline no streams are made.
  PipelineExecutor(Mesh& mesh, Device& device, Stream& compute);

  // Memory for the inputs and gradients of a plan; later plans may need as many at most.
  void allocate(Arena& arena, const StagePlan& plan, const Shape& activation, DType dtype);

  // Does the steps of the plan. All stages run plans of one schedule. Sends may still be under way
  // on return; they are ordered before whatever this executor does next.
  void run(const StagePlan& plan, StageWork& work);

  // Waits for all transfers; rethrows what went wrong in them.
  void synchronize();

 private:
  // This end of a channel, and the stream that drives it.
  struct Channel {
    Communicator* group = nullptr;
    std::unique_ptr<Stream> stream;
  };
  struct Channels {
    Channel act_in, act_out, grad_in, grad_out;
    std::array<Channel*, 4> all() { return {&act_in, &act_out, &grad_in, &grad_out}; }
  };
  using Events = std::vector<std::unique_ptr<Event>>;

  void run(const PlannedStep& step, StageWork& work);
  void receive(Channel& from, const Tensor& into, Event& free, Event& ready);
  void send(Channel& to, const Tensor& tensor, Event& ready, Event& sent);
  static void transfer(Channel& channel, P2P::Kind kind, const Tensor& tensor);
  Tensor input_of(const PlannedStep& step) const;
  void make_events(int count, Events& events);

  Device& device_;
  Stream& compute_;
  std::array<Channels, 2> channels_;  // of chunks that ascend and that descend the stages
  std::vector<Tensor> inputs_, grads_, outputs_;
  // By slot: its output is there, and has left.
  Events output_ready_, slot_sent_;
  // By input: it has arrived, and the compute stream is done with it.
  Events input_ready_, input_free_;
  // By grad: it has arrived, may be sent, and is sent or consumed.
  Events grad_ready_, grad_made_, grad_free_;
};

}  // namespace weft
