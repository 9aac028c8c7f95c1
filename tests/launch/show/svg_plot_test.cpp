#include "launch/show/svg_plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <regex>
#include <string>
#include <vector>

namespace weft {
namespace {

// The first thing that makes `text` ill-formed, out of what the drawing can get wrong: tags that do
// not nest, bare & or <, attributes without quotes. Empty when there is nothing.
std::string xml_problem(const std::string& text) {
  static const std::regex tag(R"(<(/?)([A-Za-z]+)((?:\s+[A-Za-z0-9:-]+="[^"<]*")*)\s*(/?)>)");
  static const std::regex entity("&(?!(amp|lt|gt|quot);)");
  if (std::regex_search(text, entity)) return "a bare &";
  std::vector<std::string> open;
  size_t at = 0;
  while ((at = text.find('<', at)) != std::string::npos) {
    std::smatch found;
    const std::string rest = text.substr(at, 40000);
    if (!std::regex_search(rest, found, tag, std::regex_constants::match_continuous)) {
      return "no tag at: " + rest.substr(0, 60);
    }
    if (found[1].length() > 0) {
      if (open.empty() || open.back() != found[2]) return "closed but not open: " + found[2].str();
      open.pop_back();
    } else if (found[4].length() == 0) {
      open.push_back(found[2]);
    }
    at += static_cast<size_t>(found.length());
  }
  return open.empty() ? "" : "left open: " + open.back();
}

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

Plot loss_plot(int steps) {
  PlotSeries train{"train", {}, true, false};
  PlotSeries validation{"validation", {}, false, true};
  for (int step = 1; step <= steps; ++step) {
    const double loss = 1.5 + 3 * std::exp(-step / 300.0);
    train.points.push_back({step * 1.0, loss + 0.1 * std::sin(step * 12.9898)});
    if (step % 100 == 0) validation.points.push_back({step * 1.0, loss + 0.1});
  }
  return {"Loss", "a test", "step", "loss (nats per token)", {train, validation}};
}

TEST(SvgPlot, IsWellFormedAndDrawsEachSeries) {
  const std::string svg = draw_svg(loss_plot(2000));
  EXPECT_EQ(xml_problem(svg), "");
  EXPECT_EQ(count(svg, "<polyline"), 3);  // raw and smoothed training, validation
  EXPECT_EQ(count(svg, ">train</text>"), 1);
  EXPECT_EQ(count(svg, ">validation</text>"), 1);
  EXPECT_EQ(count(svg, "prefers-color-scheme: dark"), 1);
  EXPECT_EQ(count(svg, "http"), 1);  // the name space, and nothing that a browser would fetch
}

TEST(SvgPlot, MarksTheLowestValidation) {
  Plot plot = loss_plot(500);
  plot.series[1].points = {{100, 3.0}, {200, 2.125}, {300, 2.5}};
  const std::string svg = draw_svg(plot);
  EXPECT_EQ(count(svg, "<circle"), 1);
  EXPECT_EQ(count(svg, ">2.1250</text>"), 1);
}

TEST(SvgPlot, StaysSmallForLongRuns) { EXPECT_LT(draw_svg(loss_plot(200000)).size(), 40000U); }

TEST(SvgPlot, EscapesTexts) {
  Plot plot = loss_plot(10);
  plot.title = "a < b & \"c\" > d\n\x01";
  const std::string svg = draw_svg(plot);
  EXPECT_EQ(xml_problem(svg), "");
  EXPECT_EQ(count(svg, "a &lt; b &amp; &quot;c&quot; &gt; d<"), 2);
}

TEST(SvgPlot, DrawsNothingSinglePointsAndConstants) {
  EXPECT_EQ(count(draw_svg({"t", "", "x", "y", {}}), "no data yet"), 1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const std::vector<Point>& points :
       {std::vector<Point>{}, {{1, nan}}, {{5, 2}}, {{1, 3}, {2, 3}, {3, 3}}, {{0, 0}, {1, 0}}}) {
    const std::string svg = draw_svg({"t", "", "x", "y", {{"s", points, true, true}}});
    EXPECT_EQ(xml_problem(svg), "");
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
  }
}

TEST(SvgPlot, KeepsCurvesInsideTheFrame) {
  const std::string svg = draw_svg(loss_plot(300));
  static const std::regex point(R"((-?[0-9.]+),(-?[0-9.]+) )");
  int seen = 0;
  for (std::sregex_iterator it(svg.begin(), svg.end(), point), end; it != end; ++it, ++seen) {
    const double x = std::stod((*it)[1]), y = std::stod((*it)[2]);
    EXPECT_TRUE(x >= 72 && x <= 856 && y >= 84 && y <= 440) << x << "," << y;
  }
  EXPECT_GT(seen, 300);
}

// The checker itself must be able to fail.
TEST(SvgPlot, CheckerFindsWhatIsWrong) {
  EXPECT_NE(xml_problem("<svg><g></svg>"), "");
  EXPECT_NE(xml_problem("<svg>a & b</svg>"), "");
  EXPECT_NE(xml_problem("<svg width=3></svg>"), "");
  EXPECT_NE(xml_problem("<svg>"), "");
  EXPECT_EQ(xml_problem("<svg a=\"1\"><g/>x &amp; y</svg>"), "");
}

}  // namespace
}  // namespace weft
