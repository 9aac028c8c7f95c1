#include "launch/show/svg_plot.h"

#include <fmt/core.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <span>

#include "core/base/error.h"

namespace weft {
namespace {

// The page, in SVG units, and the rectangle of the curves on it.
constexpr double kWidth = 880, kHeight = 500;
constexpr double kLeft = 72, kRight = 856, kTop = 84, kBottom = 440;
constexpr int kMostPoints = 600;
constexpr size_t kMostSeries = 4;

constexpr std::string_view kStyle = R"(<style>
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
       font-size: 13px; fill: #57606a }
.page { fill: #ffffff }
.title { font-size: 19px; font-weight: 600; fill: #1f2328 }
.strong { font-weight: 600; fill: #1f2328 }
.grid { stroke: #d8dee4; stroke-width: 1; shape-rendering: crispEdges }
.axis { stroke: #8c959f; stroke-width: 1; shape-rendering: crispEdges }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round }
.raw { fill: none; stroke-width: 1; stroke-opacity: 0.3; stroke-linejoin: round }
.s0 { stroke: #0969da } .d0 { fill: #0969da }
.s1 { stroke: #d1580a } .d1 { fill: #d1580a }
.s2 { stroke: #1a7f37 } .d2 { fill: #1a7f37 }
.s3 { stroke: #8250df } .d3 { fill: #8250df }
@media (prefers-color-scheme: dark) {
text { fill: #9198a1 }
.page { fill: #0d1117 }
.title, .strong { fill: #f0f6fc }
.grid { stroke: #262c36 }
.axis { stroke: #656c76 }
.s0 { stroke: #58a6ff } .d0 { fill: #58a6ff }
.s1 { stroke: #ff9e57 } .d1 { fill: #ff9e57 }
.s2 { stroke: #3fb950 } .d2 { fill: #3fb950 }
.s3 { stroke: #bc8cff } .d3 { fill: #bc8cff }
}
</style>
)";

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  bool empty() const { return low > high; }
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
};

// Maps data to the page.
struct Frame {
  Range x, y;

  double page_x(double value) const {
    return kLeft + (value - x.low) / (x.high - x.low) * (kRight - kLeft);
  }
  double page_y(double value) const {
    return kBottom - (value - y.low) / (y.high - y.low) * (kBottom - kTop);
  }
};

using Sink = std::back_insert_iterator<std::string>;

// A range with some air around it; a single value gets a range of its own.
Range with_margin(Range range, double share) {
  double margin = (range.high - range.low) * share;
  if (range.high <= range.low) margin = std::max(std::abs(range.low), 1.0) / 2;
  return {range.low - margin, range.high + margin};
}

std::optional<Frame> frame_of(std::span<const PlotSeries> series) {
  constexpr double kMarginX = 0, kMarginY = 0.05;
  Frame frame;
  for (const PlotSeries& one : series) {
    for (const Point& point : one.points) {
      frame.x.add(point.x);
      frame.y.add(point.y);
    }
  }
  if (frame.x.empty()) return std::nullopt;
  return Frame{with_margin(frame.x, kMarginX), with_margin(frame.y, kMarginY)};
}

void draw_text(Sink out, double x, double y, std::string_view attributes, std::string_view text) {
  fmt::format_to(out, "<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes,
                 xml_escape(text));
}

void draw_rule(Sink out, std::string_view style, double x1, double y1, double x2, double y2) {
  fmt::format_to(out,
                 "<line class=\"{}\" x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>\n",
                 style, x1, y1, x2, y2);
}

void draw_axes(Sink out, const Frame& frame) {
  constexpr int kTicksX = 8, kTicksY = 6;
  for (double value : ticks(frame.y.low, frame.y.high, kTicksY)) {
    const double y = frame.page_y(value);
    draw_rule(out, "grid", kLeft, y, kRight, y);
    draw_text(out, kLeft - 10, y + 4.5, "text-anchor=\"end\"", tick_label(value));
  }
  for (double value : ticks(frame.x.low, frame.x.high, kTicksX)) {
    const double x = frame.page_x(value);
    draw_rule(out, "axis", x, kBottom, x, kBottom + 5);
    draw_text(out, x, kBottom + 21, "text-anchor=\"middle\"", tick_label(value));
  }
  draw_rule(out, "axis", kLeft, kBottom, kRight, kBottom);
}

void draw_line(Sink out, const Frame& frame, std::string_view style,
               std::span<const Point> points) {
  fmt::format_to(out, "<polyline class=\"{}\" points=\"", style);
  for (const Point& point : points) {
    fmt::format_to(out, "{:.1f},{:.1f} ", frame.page_x(point.x), frame.page_y(point.y));
  }
  fmt::format_to(out, "\"/>\n");
}

void draw_dot(Sink out, const Frame& frame, size_t color, const Point& point) {
  fmt::format_to(out, "<circle class=\"d{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>\n", color,
                 frame.page_x(point.x), frame.page_y(point.y));
}

void draw_lowest(Sink out, const Frame& frame, size_t color, std::span<const Point> points) {
  const Point lowest =
      *std::min_element(points.begin(), points.end(), [](Point a, Point b) { return a.y < b.y; });
  draw_dot(out, frame, color, lowest);
  // Inside the frame whichever way the curve goes: to the left of the dot and above it.
  const bool at_left = frame.page_x(lowest.x) < (kLeft + kRight) / 2;
  draw_text(
      out, frame.page_x(lowest.x), frame.page_y(lowest.y) - 12,
      at_left ? "class=\"strong\" text-anchor=\"start\"" : "class=\"strong\" text-anchor=\"end\"",
      fmt::format("{:.4f}", lowest.y));
}

void draw_series(Sink out, const Frame& frame, size_t color, const PlotSeries& series) {
  if (series.points.empty()) return;
  const std::string name = fmt::format("s{}", color);
  if (series.noisy) {
    constexpr double kHalfLifeShare = 0.005;
    const double half_life =
        std::max(1.0, static_cast<double>(series.points.size()) * kHalfLifeShare);
    draw_line(out, frame, "raw " + name, series.points);
    draw_line(out, frame, "line " + name, smooth(series.points, half_life));
  } else {
    draw_line(out, frame, "line " + name, series.points);
  }
  if (series.points.size() == 1) draw_dot(out, frame, color, series.points.front());
  if (series.mark_lowest) draw_lowest(out, frame, color, series.points);
}

// Names from the right edge to the left, on the line of the subtitle.
void draw_legend(Sink out, std::span<const PlotSeries> series) {
  constexpr double kLetter = 7.5, kSwatch = 30, kGap = 22, kBaseline = 58;
  double x = kRight;
  for (size_t i = series.size(); i-- > 0;) {
    draw_text(out, x, kBaseline, "text-anchor=\"end\"", series[i].name);
    x -= static_cast<double>(series[i].name.size()) * kLetter + 8;
    draw_rule(out, fmt::format("line s{}", i), x - 20, kBaseline - 4.5, x, kBaseline - 4.5);
    x -= kSwatch + kGap - 10;
  }
}

}  // namespace

std::string xml_escape(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= ' ') escaped += c;
    }
  }
  return escaped;
}

std::string draw_svg(const Plot& plot) {
  WEFT_CHECK(plot.series.size() <= kMostSeries, "{} series in one plot", plot.series.size());
  std::vector<PlotSeries> series = plot.series;
  for (PlotSeries& one : series) one.points = thin(one.points, kMostPoints);

  std::string svg;
  const Sink out = std::back_inserter(svg);
  fmt::format_to(out,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
                 "height=\"{1}\" role=\"img\">\n<title>{2}</title>\n{3}"
                 "<rect class=\"page\" width=\"{0}\" height=\"{1}\"/>\n",
                 kWidth, kHeight, xml_escape(plot.title), kStyle);
  draw_text(out, kLeft, 34, "class=\"title\"", plot.title);
  draw_text(out, kLeft, 58, "", plot.subtitle);
  draw_text(out, (kLeft + kRight) / 2, kHeight - 16, "text-anchor=\"middle\"", plot.x_label);
  const double middle = (kTop + kBottom) / 2;
  draw_text(out, 22, middle,
            fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 22 {:.1f})\"", middle),
            plot.y_label);
  if (const std::optional<Frame> frame = frame_of(series)) {
    draw_axes(out, *frame);
    for (size_t i = 0; i < series.size(); ++i) draw_series(out, *frame, i, series[i]);
    draw_legend(out, series);
  } else {
    draw_text(out, (kLeft + kRight) / 2, middle, "text-anchor=\"middle\"", "no data yet");
  }
  svg += "</svg>\n";
  return svg;
}

}  // namespace weft
