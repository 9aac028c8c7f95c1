#include "launch/show/progress.h"

#include <fmt/core.h>
#include <fmt/format.h>
#include <stdio_ext.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <vector>

#include "launch/show/format_numbers.h"

namespace weft {
namespace {

// Returns to the first column and erases what the line showed before.
constexpr const char* kRewrite = "\r\x1b[K";

// Writes and flushes `text`, or says why it could not. What the stream still holds of it is dropped
// then: it must not come out later in the middle of something else.
std::optional<std::string> failure_to_write(std::FILE* stream, std::string_view text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stream) == text.size();
  if (written && std::fflush(stream) == 0) return std::nullopt;
  std::string reason = std::strerror(errno);
  __fpurge(stream);
  std::clearerr(stream);
  return reason;
}

}  // namespace

std::string step_line(const StepReport& report, int columns) {
  struct Piece {
    std::string text;
    int order = 0;  // of leaving the line; 0 stays
  };
  std::vector<Piece> pieces;
  const std::string steps = fmt::format("{}", report.steps);
  pieces.push_back({fmt::format("step {:>{}}/{}", report.step, steps.size(), steps)});
  pieces.push_back({fmt::format("  loss {:.4f}", report.loss)});
  if (report.validation_loss)
    pieces.push_back({fmt::format("  val {:.4f}", *report.validation_loss)});
  pieces.push_back({fmt::format("  lr {:.1e}", report.learning_rate), 2});
  pieces.push_back({fmt::format("  norm {:.2f}", report.gradient_norm), 3});
  pieces.push_back({fmt::format("  {} tok/s", format_count(report.tokens_per_second))});
  if (report.peak_share) {
    pieces.push_back({fmt::format("  {:.0f}% of peak", *report.peak_share * 100), 1});
  }
  if (report.core_wait) {
    pieces.push_back({fmt::format("  {:.0f}% waiting for cores", *report.core_wait * 100), 1});
  }
  if (report.seconds_left) pieces.push_back({"  ETA " + format_duration(*report.seconds_left)});
  std::string line;
  for (int left = 0; left <= 3; ++left) {
    line.clear();
    for (const Piece& piece : pieces) {
      if (piece.order == 0 || piece.order > left) line += piece.text;
    }
    if (line.size() <= static_cast<size_t>(std::max(columns, 0))) return line;
  }
  return std::string(fit(line, columns));
}

std::string_view fit(std::string_view line, int columns) {
  return line.substr(0, static_cast<size_t>(std::max(columns, 0)));
}

void LiveLine::show(const StepReport& report) {
  if (window_.live()) {
    StepReport latest = report;
    if (report.validation_loss) validation_loss_ = report.validation_loss;
    latest.validation_loss = validation_loss_;
    // The last column is left free: some terminals wrap as soon as it is written.
    shown_ = step_line(latest, window_.columns() - 1);
    put(kRewrite + shown_);
    return;
  }
  const bool due = interval_ > 0 && report.step % interval_ == 0;
  if (due || report.validation_loss || report.step == 1 || report.step == report.steps) {
    print(step_line(report));
  }
}

void LiveLine::print(std::string_view line) {
  put(shown_.empty() ? fmt::format("{}\n", line) : fmt::format("{}{}\n{}", kRewrite, line, shown_));
}

void LiveLine::finish() {
  if (shown_.empty()) return;
  put("\n");
  shown_.clear();
}

void LiveLine::put(std::string_view text) {
  const std::optional<std::string> failure = failure_to_write(stream_, text);
  if (!failure || std::exchange(lost_, true)) return;
  const std::string notice = fmt::format(
      "weft: notice: this run can no longer be shown: {}; training goes on\n", *failure);
  std::fputs(notice.c_str(), stderr);
}

std::string bar_line(const WorkReport& report, int columns) {
  constexpr int kWidest = 30, kNarrowest = 5;
  const double rate = report.seconds > 0 ? static_cast<double>(report.done) / report.seconds : 0;
  const std::string speed = format_bytes(static_cast<int64_t>(rate)) + "/s";
  if (report.total <= 0) {
    return std::string(
        fit(fmt::format("{}  {}  {}", report.label, format_bytes(report.done), speed), columns));
  }
  const double share =
      std::clamp(static_cast<double>(report.done) / static_cast<double>(report.total), 0.0, 1.0);
  std::string numbers = fmt::format("{:3.0f}%  {} of {}  {}", share * 100,
                                    format_bytes(report.done), format_bytes(report.total), speed);
  if (rate > 0) {
    const auto left = static_cast<double>(std::max<int64_t>(report.total - report.done, 0));
    numbers += "  ETA " + format_duration(left / rate);
  }
  const int room = columns - static_cast<int>(report.label.size() + numbers.size()) - 5;
  if (room < kNarrowest) {
    return std::string(fit(fmt::format("{}  {}", report.label, numbers), columns));
  }
  const int width = std::min(room, kWidest);
  const int filled = static_cast<int>(share * width);
  return fmt::format("{} [{:#<{}}{:.<{}}]  {}", report.label, "", filled, "", width - filled,
                     numbers);
}

std::string done_line(const WorkReport& report) {
  std::string line = fmt::format("{}: {} in {}", report.label, format_bytes(report.done),
                                 format_duration(report.seconds));
  if (report.seconds > 0) {
    const double rate = static_cast<double>(report.done) / report.seconds;
    line += fmt::format(" ({}/s)", format_bytes(static_cast<int64_t>(rate)));
  }
  return line;
}

ProgressBar::ProgressBar(std::FILE* stream, Window window, std::string label, int64_t total_bytes,
                         Clock clock)
    : stream_(stream),
      window_(std::move(window)),
      label_(std::move(label)),
      total_(total_bytes),
      clock_(std::move(clock)),
      start_(clock_()),
      shown_at_(start_),
      exceptions_(std::uncaught_exceptions()) {}

ProgressBar::~ProgressBar() {
  if (std::uncaught_exceptions() == exceptions_) {
    finish();
  } else if (window_.live() && !finished_) {
    put(kRewrite);
  }
}

// The work goes on whether it is seen or not.
void ProgressBar::put(const std::string& text) { failure_to_write(stream_, text); }

WorkReport ProgressBar::report(double now) const { return {label_, done_, total_, now - start_}; }

void ProgressBar::advance(int64_t bytes) {
  constexpr double kLiveInterval = 0.1, kPlainInterval = 10;
  const std::lock_guard lock(mutex_);
  done_ += bytes;
  const double now = clock_();
  if (finished_ || now - shown_at_ < (window_.live() ? kLiveInterval : kPlainInterval)) return;
  shown_at_ = now;
  const std::string line = bar_line(report(now), window_.columns() - 1);
  put(window_.live() ? kRewrite + line : line + "\n");
}

void ProgressBar::finish() {
  const std::lock_guard lock(mutex_);
  if (finished_) return;
  finished_ = true;
  put(fmt::format("{}{}\n", window_.live() ? kRewrite : "", done_line(report(clock_()))));
}

}  // namespace weft
