#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace weft {
namespace {

double progress(double at, double begin, double end) {
  return end <= begin ? 1.0 : std::clamp((at - begin) / (end - begin), 0.0, 1.0);
}

}  // namespace

double learning_rate(const ScheduleConfig& s, int64_t update, int64_t train_steps) {
  const auto at = static_cast<double>(update);
  const auto warmup = static_cast<double>(s.warmup_steps);
  const auto end = static_cast<double>(s.end_step(train_steps));
  if (at < warmup) return s.peak_lr * at / warmup;
  switch (s.kind) {
    case ScheduleConfig::Kind::constant:
      return s.peak_lr;
    case ScheduleConfig::Kind::linear:
      return std::lerp(s.peak_lr, s.min_lr, progress(at, warmup, end));
    case ScheduleConfig::Kind::cosine: {
      const double p = progress(at, warmup, end);
      return s.min_lr + (s.peak_lr - s.min_lr) * 0.5 * (1.0 + std::cos(std::numbers::pi * p));
    }
    case ScheduleConfig::Kind::wsd: {
      const double begin = std::max(warmup, end * (1.0 - s.wsd_decay_fraction));
      return at <= begin ? s.peak_lr : std::lerp(s.peak_lr, s.min_lr, progress(at, begin, end));
    }
  }
  return s.peak_lr;
}

}  // namespace weft
