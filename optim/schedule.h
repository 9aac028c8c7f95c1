// Learning-rate schedules: pure functions of the update number.
#pragma once

#include <cstdint>

#include "optim/optimizer_config.h"

namespace weft {

// The learning rate of update `update` (1 for the first) of a run of `train_steps` updates.
// Warm-up: peak_lr * update / warmup_steps. Then, with p in [0,1] the progress from the end of
// warm-up to schedule.end_step(train_steps):
//   cosine   min + (peak - min) * (1 + cos(pi p)) / 2   (SGDR, arXiv 1608.03983, one cycle)
//   linear   peak + (min - peak) * p
//   constant peak
//   wsd      peak, and over the last wsd_decay_fraction of end_step linear to min (arXiv
//   2404.06395)
// After the end the rate stays at its last value.
double learning_rate(const ScheduleConfig& schedule, int64_t update, int64_t train_steps);

}  // namespace weft
