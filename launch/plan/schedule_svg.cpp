#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "core/base/error.h"
#include "launch/plan/timed_schedule.h"
#include "launch/show/plot_data.h"
#include "launch/show/svg_plot.h"

namespace weft {
namespace {

// The page, in SVG units, the band of the rows on it, and the rows.
constexpr double kWidth = 1080, kLeft = 76, kRight = 988, kTop = 100, kFoot = 52;
constexpr double kRow = 34, kBar = 28;
constexpr size_t kMostComputations = 20000;

constexpr std::string_view kStyle = R"(<style>
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
       font-size: 13px; fill: #57606a }
.page { fill: #ffffff }
.title { font-size: 19px; font-weight: 600; fill: #1f2328 }
.label { font-size: 11px; fill: #1f2328; text-anchor: middle; pointer-events: none }
.axis { stroke: #8c959f; stroke-width: 1; shape-rendering: crispEdges }
.idle { fill: #f0f2f5 }
.F, .B, .W { stroke: #ffffff; stroke-width: 1 }
.F { fill: #80bbff } .B { fill: #ffb077 } .W { fill: #82d397 }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 }
.page { fill: #0d1117 }
.title, .label { fill: #f0f6fc }
.axis { stroke: #656c76 }
.idle { fill: #1b222c }
.F, .B, .W { stroke: #0d1117 }
.F { fill: #1f5fae } .B { fill: #a3480d } .W { fill: #1f7a37 }
}
</style>
)";

using Sink = std::back_insert_iterator<std::string>;

void draw_text(Sink out, double x, double y, std::string_view attributes, std::string_view text) {
  fmt::format_to(out, "<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes,
                 xml_escape(text));
}

void draw_bar(Sink out, std::string_view attributes, double x, double y, double width) {
  fmt::format_to(out, "<rect {} x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{}\"",
                 attributes, x, y, width, kBar);
}

class Drawing {
 public:
  explicit Drawing(const TimedSchedule& timed) : timed_(timed), out_(std::back_inserter(svg_)) {}

  std::string draw() {
    const int stages = timed_.schedule.stage_count();
    const double bottom = kTop + stages * kRow;
    open(bottom + kFoot);
    draw_legend();
    draw_text(out_, kRight + 14, kTop - 12, "", "in flight");
    for (int stage = 0; stage < stages; ++stage) draw_stage(stage);
    draw_axis(bottom);
    return svg_ + "</svg>\n";
  }

 private:
  void open(double height) {
    const std::string title = description(timed_.schedule);
    fmt::format_to(out_,
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" "
                   "width=\"{0}\" height=\"{1}\" role=\"img\">\n<title>{2}</title>\n{3}"
                   "<rect class=\"page\" width=\"{0}\" height=\"{1}\"/>\n",
                   kWidth, height, xml_escape(title), kStyle);
    draw_text(out_, kLeft, 34, "class=\"title\"", title);
    draw_text(out_, kLeft, 58, "",
              fmt::format("{}; {:g} micro-batches in flight at the peak", bubble_text(timed_),
                          timed_.highest_peak()));
  }

  void draw_legend() {
    const bool split = timed_.schedule.split_backward;
    double x = kLeft;
    const auto entry = [&](std::string_view style, std::string_view text) {
      constexpr double kLetter = 7.2, kSwatch = 14;
      fmt::format_to(out_,
                     "<rect class=\"{}\" x=\"{:.1f}\" y=\"72\" width=\"{}\" height=\"14\"/>\n",
                     style, x, kSwatch);
      draw_text(out_, x + kSwatch + 6, 83.5, "", text);
      x += kSwatch + 6 + kLetter * static_cast<double>(text.size()) + 16;
    };
    entry("F", "forward");
    entry("B", split ? "input gradient" : "backward");
    if (split) entry("W", "weight gradient");
    entry("idle", "idle");
    if (timed_.schedule.chunks > 1) draw_text(out_, x, 83.5, "", "paler: later chunks");
  }

  double page_x(double time) const {
    return timed_.timeline.total > 0 ? kLeft + time / timed_.timeline.total * (kRight - kLeft)
                                     : kLeft;
  }

  void draw_stage(int stage) {
    const double y = kTop + stage * kRow;
    draw_text(out_, kLeft - 10, y + 18.5, "text-anchor=\"end\"", fmt::format("stage {}", stage));
    draw_text(out_, kRight + 14, y + 18.5, "", fmt::format("{:g}", timed_.peak(stage)));
    draw_bar(out_, "class=\"idle\"", kLeft, y, kRight - kLeft);
    fmt::format_to(out_, "/>\n");
    const std::vector<Step>& steps = timed_.schedule.stages[stage];
    for (size_t i = 0; i < steps.size(); ++i) {
      if (!is_transfer(steps[i].act)) draw_step(steps[i], timed_.timeline.stages[stage][i], y);
    }
  }

  // A bar that names itself to the pointer, and to the eye where there is room.
  void draw_step(const Step& step, const Span& span, double y) {
    constexpr double kLetter = 6.6, kPalest = 0.4;
    const int chunks = timed_.schedule.chunks;
    const double opacity = chunks == 1 ? 1 : 1 - (1 - kPalest) * step.chunk / (chunks - 1);
    const std::string label = step_text(timed_.schedule, step);
    const double x = page_x(span.start), width = page_x(span.end) - x;
    draw_bar(out_, fmt::format("class=\"{}\" fill-opacity=\"{:.2f}\"", label[0], opacity), x, y,
             width);
    fmt::format_to(out_, "><title>{}: {:g} to {:g}</title></rect>\n", label, span.start, span.end);
    const std::string number = std::to_string(step.microbatch);
    for (const std::string& text : {label, number}) {
      if (kLetter * static_cast<double>(text.size()) > width) continue;
      draw_text(out_, x + width / 2, y + 18, "class=\"label\"", text);
      return;
    }
  }

  void draw_axis(double y) {
    constexpr int kTicks = 10;
    if (timed_.timeline.total <= 0) return;
    for (double time : ticks(0, timed_.timeline.total, kTicks)) {
      const double x = page_x(time);
      fmt::format_to(out_,
                     "<line class=\"axis\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" "
                     "y2=\"{2:.1f}\"/>\n",
                     x, y, y + 5);
      draw_text(out_, x, y + 21, "text-anchor=\"middle\"", tick_label(time));
    }
    draw_text(out_, (kLeft + kRight) / 2, y + 41, "text-anchor=\"middle\"", "time");
  }

  const TimedSchedule& timed_;
  std::string svg_;
  Sink out_;
};

}  // namespace

std::string schedule_svg(const TimedSchedule& timed) {
  const Schedule& schedule = timed.schedule;
  const size_t computations = schedule.stages.size() * schedule.microbatches * schedule.chunks *
                              (schedule.split_backward ? 3 : 2);
  if (computations > kMostComputations) {
    fail(ErrorKind::config,
         "an SVG picture shows at most {} computations, not the {} of {}; draw fewer stages or "
         "micro-batches",
         kMostComputations, computations, description(schedule));
  }
  return Drawing(timed).draw();
}

}  // namespace weft
