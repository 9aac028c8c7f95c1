#include "launch/show/plot_data.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace weft {
namespace {

// The smallest of 1, 2, 5, 10 times a power of ten that is at least `step`.
double round_up(double step) {
  const double power = std::pow(10.0, std::floor(std::log10(step)));
  // The tolerance keeps 0.2 / 0.1 from counting as more than 2.
  constexpr double kTolerance = 1e-9;
  for (double factor : {1.0, 2.0, 5.0}) {
    if (step <= factor * power * (1 + kTolerance)) return factor * power;
  }
  return 10 * power;
}

}  // namespace

std::vector<double> ticks(double low, double high, int wanted) {
  WEFT_CHECK(std::isfinite(low) && std::isfinite(high) && low < high && wanted > 0,
             "ticks between {} and {}, {} of them", low, high, wanted);
  const double step = round_up((high - low) / wanted);
  constexpr double kTolerance = 1e-9;
  const auto first = static_cast<int64_t>(std::ceil(low / step - kTolerance));
  const auto last = static_cast<int64_t>(std::floor(high / step + kTolerance));
  std::vector<double> values;
  for (int64_t i = first; i <= last; ++i) values.push_back(static_cast<double>(i) * step);
  return values;
}

std::string tick_label(double value) {
  const double size = std::abs(value);
  if (size >= 1e6) return fmt::format("{:.4g}M", value / 1e6);
  if (size >= 1e4) return fmt::format("{:.4g}k", value / 1e3);
  return fmt::format("{:.6g}", value);
}

std::vector<Point> thin(std::span<const Point> points, int most) {
  WEFT_CHECK(most > 0, "thinning to {} points", most);
  std::vector<Point> finite;
  std::copy_if(points.begin(), points.end(), std::back_inserter(finite),
               [](const Point& p) { return std::isfinite(p.x) && std::isfinite(p.y); });
  const size_t count = finite.size(), buckets = static_cast<size_t>(most);
  if (count <= buckets) return finite;
  std::vector<Point> means;
  for (size_t bucket = 0; bucket < buckets; ++bucket) {
    const size_t begin = bucket * count / buckets, end = (bucket + 1) * count / buckets;
    Point sum;
    for (size_t i = begin; i < end; ++i) sum = {sum.x + finite[i].x, sum.y + finite[i].y};
    const auto size = static_cast<double>(end - begin);
    means.push_back({sum.x / size, sum.y / size});
  }
  return means;
}

std::vector<Point> smooth(std::span<const Point> points, double half_life) {
  WEFT_CHECK(half_life > 0, "a half life of {} points", half_life);
  const double keep = std::exp2(-1 / half_life);
  std::vector<Point> result(points.begin(), points.end());
  std::vector<double> weights(points.size(), 1.0);
  // Each sweep adds the points on one side; the point itself is there from the start.
  const auto add = [&](size_t i, double& sum, double& weight) {
    result[i].y += sum;
    weights[i] += weight;
    sum = keep * (sum + points[i].y);
    weight = keep * (weight + 1);
  };
  double sum = 0, weight = 0;
  for (size_t i = 0; i < points.size(); ++i) add(i, sum, weight);
  sum = weight = 0;
  for (size_t i = points.size(); i-- > 0;) add(i, sum, weight);
  for (size_t i = 0; i < points.size(); ++i) result[i].y /= weights[i];
  return result;
}

}  // namespace weft
