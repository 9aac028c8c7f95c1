// PipelineExecutor: carries out one stage's plan. It moves activations and gradients between the
// stages while the stage computes; what is computed is a StageWork's business.
//
// Each of the four roads to and from the neighbours (PipelineChannels) has a stream of its own. The
// message of a step is received while the step before it computes, and sent while the next one
// does.
#pragma once

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
  // One road: its end here, the stream that drives it, and events per place it reads or writes.
  struct Road {
    Communicator* channel = nullptr;
    std::unique_ptr<Stream> stream;
    std::vector<std::unique_ptr<Event>> ready;  // by place: data is there to be sent, or arrived
  };

  void receive(const PlannedStep& step);
  void compute(const PlannedStep& step, StageWork& work);
  void transfer(Road& road, P2P::Kind kind, const Tensor& tensor);
  static void make_events(Device& device, int count, std::vector<std::unique_ptr<Event>>& events);

  Device& device_;
  Stream& compute_;
  Road act_in_, act_out_, grad_in_, grad_out_;
  std::vector<Tensor> inputs_, grads_;
  std::vector<std::unique_ptr<Event>> slot_sent_;   // by slot: its output has left
  std::vector<std::unique_ptr<Event>> input_free_;  // by input: the compute stream is done with it
  std::vector<std::unique_ptr<Event>> grad_free_;   // by grad: sent, or consumed
};

}  // namespace weft
