// Engine: one rank's share of a training step. It owns the memory of model, gradients, optimizer
// and activations, all planned before step 0, and runs forward, backward, the gradient sum and the
// update. It knows neither files nor terminals.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/mesh/mesh.h"
#include "core/model/gpt.h"
#include "data/batch.h"
#include "launch/config/run_config.h"
#include "launch/step/batch_report.h"
#include "launch/step/engine_memory.h"
#include "launch/step/input_staging.h"
#include "launch/step/recorded_passes.h"
#include "launch/step/snapshot.h"
#include "optim/gradient_norm.h"
#include "optim/optimizer.h"
#include "optim/update_control.h"
#include "parallel/data/data_parallel.h"
#include "parallel/pipeline/executor.h"
#include "parallel/pipeline/shared_gradients.h"

namespace weft {

// What a rank computes and talks with. Borrowed by the engine.
struct RankResources {
  Mesh& mesh;
  Device& device;
  Stream& compute;        // also of collectives of the tensor-parallel axis
  Stream& communication;  // of the collectives over the gradient group
  Ops& ops;
  // By axis, for collectives that run under what is computed; null: those are in `compute`.
  PerAxis<Stream*> sides = {};
  // Of work on `compute` through `ops`, without tensor and context parallelism; null: the passes of
  // every micro-batch are enqueued anew.
  Recorder* recorder = nullptr;
};

struct StepResult {
  double loss = 0;                  // mean over the tokens of the global batch, before the update
  double grad_norm = 0;             // before clipping, whatever the loss scale
  bool stop = false;                // some rank asked to stop after this step
  int64_t votes = 0;                // the sum over the ranks of what they gave
  bool skipped = false;             // gradients were not finite: there was no update
  std::optional<float> loss_scale;  // that the gradients were computed with
};

// What every rank throws after the same batch, so that all of them can still act together: the loss
// is not finite, or a rank could not read its samples, which only that rank says.
class SharedError : public Error {
 public:
  using Error::Error;
};

// Sees the planned bytes of a rank before any is allocated.
using AdmitMemory = std::function<void(const std::vector<SegmentBytes>&)>;

class Engine {
 public:
  // config.model.vocab_size must be set. Plans memory, offers the plan to `admit` (which throws to
  // refuse it), allocates, and initialises the weights. The configuration has passed cross_check
  // for this mesh.
  Engine(const RunConfig& config, const RankResources& rank, const AdmitMemory& admit);
  ~Engine();

  // Update number `update` (1 for the first), from samples [first_sample, first_sample +
  // batch_size), shared out as BatchPlan says. `stop` is this rank's wish, and `vote` a number that
  // the result has the sum of. When the gradients are not finite there is no update, and
  // SharedError{diverged} is thrown, unless a smaller loss scale may help, which it cannot where
  // the loss itself is not finite. Where a rank cannot read its samples, that rank throws the
  // SharedError of `fill`, and the others one of a loss that is no number.
  StepResult step(int64_t update, double lr, int64_t first_sample, const FillSample& fill,
                  bool stop, int vote = 0);

  // Goes on from where a run was, its master weights and optimizer state being there already: the
  // next step is number state.steps() + 1. All ranks call it. A fresh engine stands before step 1.
  void restore(const UpdateControl::State& state);
  // Where it stands after the last step.
  UpdateControl::State update_state() const { return control_.state(); }

  // Mean loss over samples [0, samples), shared among the ranks. Where `stop` becomes true on some
  // rank, all of them give up after the micro-batches under way, and there is none. Throws as
  // step() does.
  std::optional<double> evaluate(int64_t samples, const FillSample& fill,
                                 const std::function<bool()>& stop = {});

  // Runs the forward and backward pass of a batch without update and leaves the summed gradients in
  // what this rank owns of parameters() until the next step: for comparing layouts. Returns the
  // mean loss.
  double gradients(int64_t first_sample, const FillSample& fill);
  void clear_gradients();

  ParameterSet& parameters() { return parameters_; }
  const Optimizer& optimizer() const { return *optimizer_; }
  const Gpt& model() const { return model_; }
  Snapshot& snapshot() { return snapshot_; }                       // empty unless saves_from_copy()
  std::vector<SegmentBytes> memory() const;                        // by arena
  int64_t micro_batches() const { return plan_.micro_batches(); }  // of this rank per step

 private:
  class Work;

  bool may_skip(const UpdateControl::State& before) const;
  void lay_out(EngineMemory& memory, int slots);
  size_t rehearse(EngineMemory& memory);
  Context context(EngineMemory& memory, Ops& ops, const PerAxis<Communicator*>& groups,
                  int64_t update, int64_t first_sample, bool training);
  // Those that the layers of a rank talk in; null where they have nobody to talk to.
  PerAxis<Communicator*> groups();
  UpdateInputs update_inputs(double lr, const PerAxis<Communicator*>& groups) const;
  Shape activation() const;  // [S,C]
  void accumulate(int64_t update, int64_t first_sample, const FillSample& fill);
  void sum_over(Communicator& group, const Tensor& values);
  int64_t loss_slot(int64_t micro_batch) const;
  double total_loss();
  double mean_loss(int64_t samples);

  RunConfig config_;
  RankResources rank_;
  int64_t sequence_length_;
  TokenShare share_;  // of each sequence, on this rank
  BatchPlan plan_;
  GptPartition partition_;
  Schedule schedule_;
  StagePlan train_plan_;
  StagePlan evaluate_plan_;
  ParameterSet parameters_;
  Gpt model_;
  std::unique_ptr<Optimizer> optimizer_;
  GradientNorm norm_;
  UpdateControl control_;
  SharedGradients shared_gradients_;
  PipelineExecutor executor_;
  std::unique_ptr<EngineMemory> memory_;
  Snapshot snapshot_;
  std::unique_ptr<DataParallel> data_parallel_;
  std::unique_ptr<Event> handover_;
  PerAxis<std::unique_ptr<SideStream>> sides_;
  RecordedPasses passes_;
  InputStaging inputs_;
  BatchReport report_;
  Tensor host_norm_;  // f64 [1] in host memory
};

}  // namespace weft
