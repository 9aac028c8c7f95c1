#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "launch/plan/timed_schedule.h"

namespace weft {
namespace {

constexpr char kIdle = '.';

char fill(Act act) {
  if (act == Act::forward) return '-';
  return act == Act::backward ? '=' : '~';
}

// Calls draw(step, span) for every computation of a stage that takes time.
template <typename Draw>
void each_computation(const TimedSchedule& timed, int stage, Draw draw) {
  const std::vector<Step>& steps = timed.schedule.stages[stage];
  for (size_t i = 0; i < steps.size(); ++i) {
    const Span span = timed.timeline.stages[stage][i];
    if (!is_transfer(steps[i].act) && span.end > span.start) draw(steps[i], span);
  }
}

// Columns per unit of time: as many for the shortest computation as fit, whole ones if one does,
// and not more than its label and some fill need.
double columns_per_unit(const TimedSchedule& timed, int columns) {
  double shortest = timed.timeline.total;
  size_t longest_label = 0;
  for (int stage = 0; stage < timed.schedule.stage_count(); ++stage) {
    each_computation(timed, stage, [&](const Step& step, const Span& span) {
      shortest = std::min(shortest, span.end - span.start);
      longest_label = std::max(longest_label, step_text(timed.schedule, step).size());
    });
  }
  if (timed.timeline.total <= 0) return 0;
  constexpr double kRounding = 1e-9;  // of sums of times
  const double fitting = columns * shortest / timed.timeline.total + kRounding;
  const double wanted = std::min(fitting, static_cast<double>(longest_label) + 2);
  return (wanted >= 1 ? std::floor(wanted) : wanted) / shortest;
}

// As much of the label as fits: all of it, without the chunk, or its letter.
std::string short_label(const Schedule& schedule, const Step& step, size_t columns) {
  const std::string label = step_text(schedule, step);
  if (label.size() <= columns) return label;
  const std::string without_chunk = label.substr(0, label.find('.'));
  return without_chunk.size() <= columns ? without_chunk : label.substr(0, 1);
}

std::string draw_row(const TimedSchedule& timed, int stage, double scale) {
  const auto column = [&](double time) { return static_cast<size_t>(std::lround(time * scale)); };
  std::string row(std::max<size_t>(column(timed.timeline.total), 1), kIdle);
  each_computation(timed, stage, [&](const Step& step, const Span& span) {
    const size_t begin = column(span.start), end = column(span.end);
    if (begin == end) return;
    std::string text = short_label(timed.schedule, step, end - begin);
    text.resize(end - begin, fill(step.act));
    row.replace(begin, end - begin, text);
  });
  return row;
}

std::string legend(const TimedSchedule& timed) {
  const auto [forward, backward, weights, transfer] = timed.costs;
  const std::string gradients =
      timed.schedule.split_backward
          ? fmt::format("B input gradient {:g}, W weight gradient {:g}", backward, weights)
          : fmt::format("B backward {:g}", backward + weights);
  return fmt::format("F forward {:g}, {}, {} idle; a transfer takes {:g}", forward, gradients,
                     kIdle, transfer);
}

}  // namespace

std::string schedule_text(const TimedSchedule& timed, int width) {
  const int stages = timed.schedule.stage_count();
  const size_t digits = fmt::formatted_size("{}", stages - 1);
  size_t peak_width = 0;
  for (int stage = 0; stage < stages; ++stage) {
    peak_width = std::max(peak_width, fmt::formatted_size("{:g}", timed.peak(stage)));
  }
  const int margin = static_cast<int>(digits + 1 + 3 + peak_width);
  const double scale = columns_per_unit(timed, std::max(width - margin, 1));

  std::string text = description(timed.schedule) + "\n";
  for (int stage = 0; stage < stages; ++stage) {
    text += fmt::format("{:>{}} {} | {:g}\n", stage, digits, draw_row(timed, stage, scale),
                        timed.peak(stage));
  }
  text += legend(timed) + "\n";
  text += bubble_text(timed) + "\n";
  text += fmt::format("in flight at the peak (right): {:g} of {} micro-batches\n",
                      timed.highest_peak(), timed.schedule.microbatches);
  return text;
}

}  // namespace weft
