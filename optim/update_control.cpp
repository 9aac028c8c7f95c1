#include "optim/update_control.h"

namespace weft {

UpdateControl::UpdateControl(const std::optional<LossScaleConfig>& config) : config_(config) {}

void UpdateControl::allocate(Arena& arena) {
  counters_ = arena.allocate({UpdateArgs::counter_count}, DType::i64);
  if (config_) loss_scale_ = arena.allocate({1}, DType::f32);
}

void UpdateControl::restore(const State& state, Device& device, Stream& stream) {
  host_counters_[UpdateArgs::update] = 0;
  host_counters_[UpdateArgs::made] = state.made;
  host_counters_[UpdateArgs::skipped] = state.skipped;
  host_counters_[UpdateArgs::good] = state.good;
  device.copy_to_device(counters_.raw(), host_counters_, counters_.bytes(), stream);
  if (config_) {
    const bool goes_on = config_->dynamic && state.loss_scale;
    host_scale_ = goes_on ? *state.loss_scale : static_cast<float>(config_->initial);
    device.copy_to_device(loss_scale_.raw(), &host_scale_, loss_scale_.bytes(), stream);
  }
  stream.synchronize();
}

void UpdateControl::decide(const Tensor& norm, Ops& ops, Stream& stream) {
  UpdateArgs args{.norm = norm, .counters = counters_};
  if (config_ && config_->dynamic) {
    args.loss_scale = loss_scale_;
    args.growth_interval = config_->growth_interval;
    args.growth = config_->growth;
    args.backoff = config_->backoff;
    args.min_scale = config_->min;
  }
  ops.decide_update(args, stream);
}

void UpdateControl::fetch(Device& device, Stream& stream) {
  device.copy_to_host(host_counters_, counters_.raw(), counters_.bytes(), stream);
  if (config_) device.copy_to_host(&host_scale_, loss_scale_.raw(), loss_scale_.bytes(), stream);
}

UpdateControl::State UpdateControl::state() const {
  return {.made = host_counters_[UpdateArgs::made],
          .skipped = host_counters_[UpdateArgs::skipped],
          .good = host_counters_[UpdateArgs::good],
          .loss_scale = config_ ? std::optional(host_scale_) : std::nullopt};
}

}  // namespace weft
