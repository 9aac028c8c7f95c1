#include "launch/train/loss_curve.h"

#include <fstream>

#include "core/base/error.h"
#include "launch/show/svg_plot.h"

namespace weft {

void write_loss_curve(const std::vector<CurvePoint>& curve, const std::string& run,
                      const std::string& path) {
  PlotSeries training{.name = "training", .noisy = true};
  PlotSeries validation{.name = "validation", .mark_lowest = true};
  for (const CurvePoint& point : curve) {
    const auto step = static_cast<double>(point.step);
    training.points.push_back({step, point.loss});
    if (point.validation_loss) validation.points.push_back({step, *point.validation_loss});
  }
  Plot plot{.title = run, .x_label = "step", .y_label = "loss (nats per token)"};
  plot.series.push_back(std::move(training));
  if (!validation.points.empty()) plot.series.push_back(std::move(validation));
  std::ofstream out(path, std::ios::trunc);
  out << draw_svg(plot);
  if (!out.flush()) fail(ErrorKind::io, "cannot write {}", path);
}

}  // namespace weft
