// metrics.jsonl: what happened at each step, one JSON object per line (docs/metrics.md).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/checkpoint/files.h"
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
  double utilization = 0;           // share of the measured GEMM peak of all ranks
  std::optional<double> core_wait;  // share of the last second's compute time; where known
  CheckpointCost checkpoints;       // since the step before
};

// Appends to a file, one write per line, so that a killed run leaves whole lines and at most one
// torn one, which the next attempt ends. Steps may repeat after a resume: (attempt, step) is
// unique.
class MetricsFile {
 public:
  // Opens or creates `path`; the attempt is one more than the largest in it. Lines that say nothing
  // sensible about their attempt are passed over and counted in a line of `notices`. Throws
  // Error of kind_of_path_error, and Error{input} where `path` is no regular file.
  MetricsFile(const std::string& path, const std::string& run, std::vector<std::string>& notices);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;

  // A line that cannot be written is lost, no more. Returns what to say about it: at the first of
  // several.
  std::optional<std::string> write(const StepMetrics& metrics);
  // The line of a step of an earlier attempt, where there is one, as one of this attempt and with a
  // validation loss.
  std::optional<std::string> write_again(int64_t step, double validation_loss);
  int64_t lost() const { return lost_; }
  // Whether `path` still leads to the file.
  bool in_place() const;
  int64_t attempt() const { return attempt_; }

 private:
  std::optional<std::string> append(int64_t step, const std::string& line);
  int64_t last_attempt(std::vector<std::string>& notices);

  std::string path_;
  std::string run_;
  FileDescriptor file_;
  bool torn_ = false;  // the file does not end in a line feed
  int64_t attempt_;
  int64_t lost_ = 0;
  bool failing_ = false;
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
