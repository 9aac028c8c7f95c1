// Progress that a person can follow: a line per training step that is rewritten in place, and a bar
// for long work. Where nobody watches (a file, a pipe, a batch job) plain lines at an interval.
//
//   LiveLine line(stdout, Window([] { return find_terminal(1); }), interval);  // on rank 0 only
//   line.show(report);                                                         // after every step
//   line.print("saved runs/a/checkpoints/step-1000");                          // a line that stays
//
//   ProgressBar bar(stderr, Window([] { return find_terminal(2); }), "encode", total_bytes);
//   bar.advance(block.size());
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "launch/show/terminal.h"

namespace weft {

// What is known after a training step. An absent value is left out of the line.
struct StepReport {
  int64_t step = 0;  // steps done, counting this one
  int64_t steps = 0;
  double loss = 0;  // nats per token
  std::optional<double> validation_loss;
  double learning_rate = 0;
  double gradient_norm = 0;
  double tokens_per_second = 0;      // of all ranks together
  std::optional<double> peak_share;  // of the measured peak, 0 to 1
  std::optional<double> core_wait;   // share of their time that threads waited for a core
  std::optional<double> seconds_left;
};

// "step   120/2000  loss 2.3457  val 2.4012  lr 9.9e-04  norm 0.92  12.3k tok/s  61% of peak
// ETA 1m20s", on one line; "35% waiting for cores" in the place of the share. Numbers keep their
// width from step to step as far as they can. Where it is longer than `columns`, the share of the
// peak, the learning rate and the gradient norm are left out in this order; what then still does
// not fit is cut off.
std::string step_line(const StepReport& report, int columns = std::numeric_limits<int>::max());

// At most `columns` columns of an ASCII line: a live line that wraps can no longer be rewritten.
std::string_view fit(std::string_view line, int columns);

// The line of the training loop. Not thread-safe. The stream must outlive it; ends a live line with
// a newline when destroyed. Where the stream cannot be written, because its reader has gone or its
// disk is full, a line on standard error says so once and the text is lost: what is shown is not
// what a run is for.
class LiveLine {
 public:
  // Off a terminal, prints the first and the last step, the multiples of `interval` and the steps
  // with a validation loss. On a terminal the latest validation loss stays in the line.
  LiveLine(std::FILE* stream, Window window, int64_t interval)
      : stream_(stream), window_(std::move(window)), interval_(interval) {}
  ~LiveLine() { finish(); }
  LiveLine(const LiveLine&) = delete;
  LiveLine& operator=(const LiveLine&) = delete;

  void show(const StepReport& report);
  // Prints a line that stays, above the live one; without a newline at its end.
  void print(std::string_view line);
  // Ends the live line; a later show starts a new one.
  void finish();

 private:
  void put(std::string_view text);

  std::FILE* stream_;
  Window window_;
  int64_t interval_;
  bool lost_ = false;                      // text, and that was said
  std::string shown_;                      // the live line on the screen; empty when there is none
  std::optional<double> validation_loss_;  // the latest
};

// Work of a known size in bytes, under way for `seconds`.
struct WorkReport {
  std::string_view label;
  int64_t done = 0;
  int64_t total = 0;  // 0 when unknown
  double seconds = 0;
};

// "encode [#########.........]  52%  1.2 GiB of 2.3 GiB  118 MiB/s  ETA 9s" in at most `columns`.
std::string bar_line(const WorkReport& report, int columns);
// "encode: 2.3 GiB in 20s (118 MiB/s)": the line that stays when the work is done.
std::string done_line(const WorkReport& report);

// A bar on a terminal, at most ten times a second; elsewhere a plain line every ten seconds. Prints
// done_line when finished or destroyed, but nothing when an exception destroys it. Thread-safe. The
// stream must outlive it.
class ProgressBar {
 public:
  using Clock = Window::Clock;

  ProgressBar(std::FILE* stream, Window window, std::string label, int64_t total_bytes,
              Clock clock = Window::steady_seconds);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void advance(int64_t bytes);
  void finish();

 private:
  void put(const std::string& text);
  WorkReport report(double now) const;

  std::mutex mutex_;
  std::FILE* stream_;
  Window window_;
  std::string label_;
  int64_t total_;
  Clock clock_;
  double start_;
  double shown_at_;
  int exceptions_;  // in flight when constructed
  int64_t done_ = 0;
  bool finished_ = false;
};

}  // namespace weft
