#include "optim/update_control.h"

namespace weft {

UpdateControl::UpdateControl(const std::optional<LossScaleConfig>& config) : config_(config) {}

void UpdateControl::allocate(Arena& arena, Arena& host) {
  const auto both = [&](const Shape& shape, DType dtype, Tensor& there, Tensor& here) {
    there = arena.allocate(shape, dtype);
    here = host.allocate(shape, dtype);
  };
  both({op::DecideUpdate::counter_count}, DType::i64, counters_, host_counters_);
  if (config_) both({1}, DType::f32, loss_scale_, host_scale_);
}

void UpdateControl::restore(const State& state, Device& device, Stream& stream) {
  auto* counters = host_counters_.data<int64_t>();
  counters[op::DecideUpdate::update] = 0;
  counters[op::DecideUpdate::made] = state.made;
  counters[op::DecideUpdate::skipped] = state.skipped;
  counters[op::DecideUpdate::good] = state.good;
  device.copy_to_device(counters_.raw(), counters, counters_.bytes(), stream);
  if (config_) {
    const bool goes_on = config_->dynamic && state.loss_scale;
    *host_scale_.data<float>() = goes_on ? *state.loss_scale : static_cast<float>(config_->initial);
    device.copy_to_device(loss_scale_.raw(), host_scale_.raw(), loss_scale_.bytes(), stream);
  }
  stream.synchronize();
}

void UpdateControl::decide(const Tensor& norm, Ops& ops, Stream& stream) {
  op::DecideUpdate args{.norm = norm, .counters = counters_};
  if (config_ && config_->dynamic) {
    args.loss_scale = loss_scale_;
    args.growth_interval = config_->growth_interval;
    args.growth = config_->growth;
    args.backoff = config_->backoff;
    args.min_scale = config_->min;
  }
  ops(args, stream);
}

void UpdateControl::fetch(Device& device, Stream& stream) {
  device.copy_to_host(host_counters_.raw(), counters_.raw(), counters_.bytes(), stream);
  if (!config_) return;
  device.copy_to_host(host_scale_.raw(), loss_scale_.raw(), loss_scale_.bytes(), stream);
}

UpdateControl::State UpdateControl::state() const {
  const auto* counters = host_counters_.data<int64_t>();
  return {.made = counters[op::DecideUpdate::made],
          .skipped = counters[op::DecideUpdate::skipped],
          .good = counters[op::DecideUpdate::good],
          .loss_scale = config_ ? std::optional(*host_scale_.data<float>()) : std::nullopt};
}

}  // namespace weft
