// The picture of a run: loss against steps, as one self-contained SVG that any browser opens, in
// light or dark as the reader's system has it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "launch/show/plot_data.h"

namespace weft {

struct PlotSeries {
  std::string name;           // in the legend
  std::vector<Point> points;  // in order of x; points that are not finite are left out
  bool noisy = false;         // draw a smoothed line over the faint raw one
  bool mark_lowest = false;   // a dot and its value at the smallest y
};

struct Plot {
  std::string title;
  std::string subtitle;  // one line under the title; may be empty
  std::string x_label;
  std::string y_label;
  std::vector<PlotSeries> series;  // at most four
};

// The SVG document, UTF-8. Texts are escaped. A plot without any finite point says so in place of
// its curves.
std::string draw_svg(const Plot& plot);

// `text` with the characters that XML reserves replaced and control characters dropped.
std::string xml_escape(std::string_view text);

}  // namespace weft
