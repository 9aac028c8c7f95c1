// Engine::Work: an engine's micro-batches on their way through the chunks of its stage.
#pragma once

#include "launch/step/engine.h"

namespace weft {

class Engine::Work final : public StageWork {
 public:
  // A batch of samples from `first` on; `update` is the number of the step, in training.
  Work(Engine& engine, const FillSample& fill, bool training, int64_t update, int64_t first)
      : engine_(engine), fill_(fill), training_(training), update_(update), first_(first) {}

  Tensor forward(const Step& unit, int slot, const Tensor& in) override;
  void backward(const Step& unit, int slot, const Tensor& grad) override;
  void backward_weights(const Step& unit, int slot) override;

 private:
  UnitMemory& memory_of(int slot) { return engine_.memory_->units[static_cast<size_t>(slot)]; }
  const GptPart& part_of(const Step& unit) const { return engine_.model_.part(unit.chunk); }
  int64_t index_of(const Step& unit) const;   // of the micro-batch in the batch
  int64_t sample_of(const Step& unit) const;  // its first
  Context context(const Step& unit);
  // Around what adds to the loss of a micro-batch, which goes to its cell first.
  void clear_loss(const MicroBatch& batch);
  void report_loss(const Step& unit, const MicroBatch& batch);
  Tensor evaluate(const Step& unit, const Tensor& in, UnitMemory& memory);
  bool may_record(const Step& unit, Pass pass) const;
  // The pass of a training step, recorded where it may be.
  template <typename Body>
  Tensor run(const Step& unit, int slot, Pass pass, const Body& body);

  Engine& engine_;
  const FillSample& fill_;
  bool training_;
  int64_t update_, first_;
};

}  // namespace weft
