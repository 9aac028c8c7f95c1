// UpdateControl: whether a step updates the weights, the how manieth update it is, and what the
// loss is scaled with, all of it on the device, so that no host waits within a step.
//
//   gradients of the loss times loss_scale()      // f32 [1]
//   norm.combine(..., control.loss_scale(), ...)  // what the clip factor then undoes
//   control.decide(norm.norm(), ops, stream);  // every rank has the norm's bits: all decide alike
//   optimizer.step(..., control.update(), ...);
//   control.fetch(device, stream);             // state() on the host once the stream has got there
//
// A step whose gradient norm is not finite is skipped: it has consumed its samples and its learning
// rate, and leaves weights, moments and the number of updates as they were.
#pragma once

#include <optional>

#include "core/ops/ops.h"
#include "core/tensor/arena.h"
#include "optim/optimizer_config.h"

namespace weft {

class UpdateControl {
 public:
  // What a run goes on from.
  struct State {
    int64_t made = 0;     // updates
    int64_t skipped = 0;  // steps without one
    int64_t good = 0;     // updates since the scale changed
    std::optional<float> loss_scale;

    int64_t steps() const { return made + skipped; }
    bool operator==(const State&) const = default;
  };

  // `config` absent: the loss is not scaled.
  explicit UpdateControl(const std::optional<LossScaleConfig>& config);

  // Lays counters and scale out in `arena`, what is fetched of them in `host`, memory for copies.
  void allocate(Arena& arena, Arena& host);
  // Goes on from `state`, its scale where it has one, the configured one otherwise; to be called
  // once the memory is there.
  void restore(const State& state, Device& device, Stream& stream);

  // i64 [1]: the number of the update decided last, 1 for the first; 0 when it is skipped.
  Tensor update() const {
    return counters_.slice(op::DecideUpdate::update, op::DecideUpdate::update + 1);
  }
  const Tensor& loss_scale() const { return loss_scale_; }  // absent when the loss is not scaled
  void decide(const Tensor& norm, Ops& ops, Stream& stream);

  void fetch(Device& device, Stream& stream);
  // As restored or fetched last.
  State state() const;

 private:
  std::optional<LossScaleConfig> config_;
  Tensor counters_;
  Tensor loss_scale_;
  Tensor host_counters_;
  Tensor host_scale_;
};

}  // namespace weft
