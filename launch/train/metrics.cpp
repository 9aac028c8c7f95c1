#include "launch/train/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace weft {
namespace {

// JSON has no NaN or infinity.
std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "null";
}

std::string pair(std::string_view key, double value) {
  return fmt::format("\"{}\":{},\"{}_hex\":\"{:a}\"", key, number(value), key, value);
}

int64_t last_attempt(const std::string& path) {
  std::ifstream in(path);
  int64_t attempt = 0;
  for (std::string line; std::getline(in, line);) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object()) attempt = std::max(attempt, json.value("attempt", int64_t{0}));
  }
  return attempt;
}

double seconds(auto duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

MetricsFile::MetricsFile(const std::string& path, const std::string& run)
    : path_(path),
      run_(run),
      attempt_(last_attempt(path) + 1),
      file_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {
  if (file_ < 0) fail(ErrorKind::io, "cannot open {}: {}", path, std::strerror(errno));
}

MetricsFile::~MetricsFile() { close(file_); }

void MetricsFile::write(const StepMetrics& metrics) {
  const std::string line =
      format_metrics(metrics, run_, attempt_,
                     seconds(std::chrono::system_clock::now().time_since_epoch()),
                     seconds(std::chrono::steady_clock::now().time_since_epoch())) +
      "\n";
  if (::write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    fail(ErrorKind::io, "cannot write to {}: {}", path_, std::strerror(errno));
  }
}

std::string format_metrics(const StepMetrics& m, const std::string& run, int64_t attempt,
                           double wall_time, double monotonic_time) {
  std::string line = fmt::format("{{\"schema\":1,\"run\":\"{}\",\"attempt\":{},\"step\":{},{}", run,
                                 attempt, m.step, pair("loss", m.loss));
  if (m.validation_loss) {
    line += ',';
    line += pair("validation_loss", *m.validation_loss);
  }
  if (m.loss_scale) {
    line += fmt::format(",\"loss_scale\":{},\"skipped_steps\":{}", *m.loss_scale, m.skipped_steps);
  }
  line += fmt::format(
      ",\"lr\":{},{},\"consumed_samples\":{},\"consumed_tokens\":{},\"step_seconds\":{:.6f},"
      "\"tokens_per_second\":{:.3f},\"utilization\":{:.5f},\"checkpoint_stall_seconds\":{:.6f},"
      "\"checkpoint_write_seconds\":{:.6f},\"checkpoint_bytes\":{},"
      "\"wall_time\":{:.6f},\"monotonic_time\":{:.6f}}}",
      number(m.lr), pair("grad_norm", m.grad_norm), m.consumed_samples, m.consumed_tokens,
      m.step_seconds, m.tokens_per_second, m.utilization, m.checkpoints.stall_seconds,
      m.checkpoints.write_seconds, m.checkpoints.bytes, wall_time, monotonic_time);
  return line;
}

std::vector<CurvePoint> read_curve(const std::string& path) {
  std::map<int64_t, CurvePoint> points;  // later lines are later attempts
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) continue;
    const auto real = [&](const char* key) -> std::optional<double> {
      if (!json.contains(key) || !json[key].is_number()) return std::nullopt;
      return json[key].get<double>();
    };
    const std::optional<double> loss = real("loss");
    if (!loss) continue;
    const int64_t step = json["step"].get<int64_t>();
    points[step] = {step, *loss, real("validation_loss")};
  }
  std::vector<CurvePoint> curve;
  for (const auto& [step, point] : points) curve.push_back(point);
  return curve;
}

}  // namespace weft
