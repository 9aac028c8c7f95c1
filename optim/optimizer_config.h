// OptimizerConfig and ScheduleConfig: how weights are updated, and how fast at which step.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/dtype.h"
#include "core/base/fields.h"

namespace weft {

enum class OptimizerKind { adamw, sgd, muon };
constexpr auto enum_names(OptimizerKind) { return named_values("adamw", "sgd", "muon"); }

struct OptimizerConfig {
  enum class StateType { f32, bf16 };
  friend constexpr auto enum_names(StateType) { return named_values("f32", "bf16"); }

  // Of an orthogonal update: to the size of AdamW's, 0.2 sqrt(max(rows, columns)) (arXiv
  // 2502.16982), or sqrt(max(1, rows / columns)), with which Muon was published.
  enum class UpdateScale { match_rms, original };
  friend constexpr auto enum_names(UpdateScale) { return named_values("match_rms", "original"); }

  OptimizerKind kind = OptimizerKind::adamw;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;
  double momentum = 0.95;
  bool nesterov = true;
  UpdateScale update_scale = UpdateScale::match_rms;
  double adamw_lr_factor = 1;
  StateType state_dtype = StateType::f32;
  bool stochastic_rounding = false;
  std::vector<std::string> freeze;

  DType state_type() const { return state_dtype == StateType::bf16 ? DType::bf16 : DType::f32; }

  void fields(FieldList& list);
};

// What the loss is multiplied with so that small gradients do not vanish in f16 (Micikevicius et
// al., arXiv 1710.03740).
struct LossScaleConfig {
  bool dynamic = true;
  double initial = 65536;
  int64_t growth_interval = 2000;
  double growth = 2;
  double backoff = 0.5;
  double min = 1;

  void fields(FieldList& list);
};

// The learning rate rises linearly from 0 to peak_lr over warmup_steps, then follows `kind`.
struct ScheduleConfig {
  enum class Kind { cosine, linear, constant, wsd };
  friend constexpr auto enum_names(Kind) {
    return named_values("cosine", "linear", "constant", "wsd");
  }

  Kind kind = Kind::cosine;
  double peak_lr = 6e-4;
  double min_lr = 6e-5;
  int64_t warmup_steps = 100;
  std::optional<int64_t> decay_steps;
  double wsd_decay_fraction = 0.2;

  // The step at which min_lr is reached, in a run of `train_steps` steps.
  int64_t end_step(int64_t train_steps) const { return decay_steps.value_or(train_steps); }

  void fields(FieldList& list);
};

}  // namespace weft
