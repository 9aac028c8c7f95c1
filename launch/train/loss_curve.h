// The loss curve of a run as a picture.
#pragma once

#include <string>
#include <vector>

#include "launch/train/metrics.h"

namespace weft {

// Writes an SVG of training and validation loss against steps to `path`; throws Error{io}.
void write_loss_curve(const std::vector<CurvePoint>& curve, const std::string& run,
                      const std::string& path);

}  // namespace weft
