// The arithmetic of a picture: round ticks, smoothing and thinning of long series.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace weft {

struct Point {
  double x = 0;
  double y = 0;
};

// Round values (1, 2 or 5 times a power of ten apart) inside [low, high], about `wanted` of them,
// in rising order. Both ends must be finite and low < high.
std::vector<double> ticks(double low, double high, int wanted);

// A tick as text, without needless zeros: "0", "2.5", "1500", "20k", "1M".
std::string tick_label(double value);

// At most `most` points that keep the shape of a series in order of x: each bucket of neighbours is
// its mean. Points that are not finite are left out.
std::vector<Point> thin(std::span<const Point> points, int most);

// Each point's mean over its neighbours on both sides, weighted by half for every `half_life`
// points of distance. Symmetric, so that a falling curve does not lag behind its data.
std::vector<Point> smooth(std::span<const Point> points, double half_life);

}  // namespace weft
