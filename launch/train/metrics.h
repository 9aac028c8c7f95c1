// metrics.jsonl: what happened at each step, one JSON object per line (docs/metrics.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "launch/train/checkpoint_cost.h"

namespace weft {

struct StepMetrics {
  int64_t step = 0;  // updates done, this one included
  double loss = 0;
  std::optional<double> validation_loss;
  double lr = 0;
  double grad_norm = 0;
  std::optional<float> loss_scale;  // of this step's gradients; absent when the loss is not scaled
  int64_t skipped_steps = 0;        // so far: steps whose gradients were not finite
  int64_t consumed_samples = 0;
  int64_t consumed_tokens = 0;
  double step_seconds = 0;
  double tokens_per_second = 0;
  double utilization = 0;      // share of the measured GEMM peak of all ranks
  CheckpointCost checkpoints;  // since the step before
};

// Appends to a file, one write per line, so that a killed run leaves whole lines and at most one
// torn one. Steps may repeat after a resume: (attempt, step) is unique.
class MetricsFile {
 public:
  // Opens or creates `path`; the attempt is one more than the largest in it.
  MetricsFile(const std::string& path, const std::string& run);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  void write(const StepMetrics& metrics);  // throws Error{io}
  int64_t attempt() const { return attempt_; }

 private:
  std::string path_;
  std::string run_;
  int64_t attempt_;
  int file_;
};

// One line, without the line feed.
std::string format_metrics(const StepMetrics& metrics, const std::string& run, int64_t attempt,
                           double wall_time, double monotonic_time);

struct CurvePoint {
  int64_t step;
  double loss;
  std::optional<double> validation_loss;
};
// The last attempt's view of every step in `path`, by step; torn lines are passed over.
std::vector<CurvePoint> read_curve(const std::string& path);

}  // namespace weft
