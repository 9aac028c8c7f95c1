#include "launch/train/metrics.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/base/directories.h"
#include "core/base/error.h"
#include "core/base/json_text.h"

namespace weft {
namespace {

// JSON has no NaN or infinity.
std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{}", value) : "null";
}

std::string pair(std::string_view key, double value) {
  return fmt::format("\"{}\":{},\"{}_hex\":\"{:a}\"", key, number(value), key, value);
}

// The regular file at `path`, for appending lines and reading those there are.
FileDescriptor open_metrics(const std::string& path) {
  FileDescriptor file(
      open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0644));
  if (file.get() < 0) {
    fail(kind_of_path_error(errno), "cannot open {}: {}", path, std::strerror(errno));
  }
  struct stat status {};
  if (fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    fail(ErrorKind::input, "{} is no regular file; move it away", path);
  }
  return file;
}

// Of a line of metrics; nothing where it holds no sensible number.
std::optional<int64_t> attempt_of(const nlohmann::json& line) {
  constexpr int64_t kMost = 1'000'000'000;
  const auto found = line.find("attempt");
  if (found == line.end()) return 0;
  if (!found->is_number_integer()) return std::nullopt;
  const auto attempt = found->get<int64_t>();
  return attempt >= 0 && attempt < kMost ? std::optional(attempt) : std::nullopt;
}

double seconds(auto duration) { return std::chrono::duration<double>(duration).count(); }

double wall_seconds() { return seconds(std::chrono::system_clock::now().time_since_epoch()); }

double steady_seconds() { return seconds(std::chrono::steady_clock::now().time_since_epoch()); }

}  // namespace

MetricsFile::MetricsFile(const std::string& path, const std::string& run,
                         std::vector<std::string>& notices)
    : path_(path), run_(run), file_(open_metrics(path)), attempt_(last_attempt(notices) + 1) {}

MetricsFile::~MetricsFile() = default;

int64_t MetricsFile::last_attempt(std::vector<std::string>& notices) {
  std::ifstream in(path_);
  int64_t attempt = 0;
  int64_t senseless = 0;
  for (std::string line; std::getline(in, line);) {
    torn_ = in.eof();
    const nlohmann::json json = parse_json_if_any(line);
    if (!json.is_object()) continue;
    const std::optional<int64_t> of_line = attempt_of(json);
    attempt = std::max(attempt, of_line.value_or(0));
    if (!of_line) ++senseless;
  }
  if (in.bad()) fail(ErrorKind::io, "cannot read {}: {}", path_, std::strerror(errno));
  if (senseless > 0) {
    notices.push_back(fmt::format("{}: {} without a sensible attempt passed over", path_,
                                  senseless == 1 ? "a line" : fmt::format("{} lines", senseless)));
  }
  return attempt;
}

std::optional<std::string> MetricsFile::write(const StepMetrics& metrics) {
  return append(metrics.step,
                format_metrics(metrics, run_, attempt_, wall_seconds(), steady_seconds()));
}

std::optional<std::string> MetricsFile::write_again(int64_t step, double validation_loss) {
  nlohmann::ordered_json latest;
  std::ifstream in(path_);
  for (std::string text; std::getline(in, text);) {
    auto json = nlohmann::ordered_json::parse(text, nullptr, false);
    if (json.is_object() && json.contains("step") && json["step"] == step) latest = std::move(json);
  }
  if (latest.is_null()) return std::nullopt;
  nlohmann::ordered_json line;
  for (const auto& [key, value] : latest.items()) {
    line[key] = value;
    if (key != "loss_hex") continue;
    line["validation_loss"] = validation_loss;
    line["validation_loss_hex"] = fmt::format("{:a}", validation_loss);
  }
  line["attempt"] = attempt_;
  line["wall_time"] = wall_seconds();
  line["monotonic_time"] = steady_seconds();
  return append(step, line.dump());
}

std::optional<std::string> MetricsFile::append(int64_t step, const std::string& text) {
  const std::string line = fmt::format("{}{}\n", torn_ ? "\n" : "", text);
  size_t done = 0;
  // A write that stops short gives no reason; the one that asks for the rest does.
  while (done < line.size()) {
    const ssize_t moved = ::write(file_.get(), line.data() + done, line.size() - done);
    if (moved <= 0) break;
    done += static_cast<size_t>(moved);
  }
  const std::string reason = std::strerror(errno);
  if (done > 0) torn_ = line[done - 1] != '\n';
  if (done == line.size()) {
    failing_ = false;
    return std::nullopt;
  }
  ++lost_;
  if (std::exchange(failing_, true)) return std::nullopt;
  return fmt::format("cannot write to {}: {}; the metrics of step {} and on are lost", path_,
                     reason, step);
}

bool MetricsFile::in_place() const {
  struct stat held {};
  struct stat there {};
  return fstat(file_.get(), &held) == 0 && stat(path_.c_str(), &there) == 0 &&
         held.st_dev == there.st_dev && held.st_ino == there.st_ino;
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
  if (m.core_wait) line += fmt::format(",\"core_wait\":{:.3f}", *m.core_wait);
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
    const nlohmann::json json = parse_json_if_any(line);
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
