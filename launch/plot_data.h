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

// Exponential moving average with the given half life in points, corrected for its start: the first
// value is the first input, not pulled towards zero.
std::vector<Point> smooth(std::span<const Point> points, double half_life);

}  // namespace weft
