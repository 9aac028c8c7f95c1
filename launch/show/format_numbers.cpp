#include "launch/show/format_numbers.h"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <span>

namespace weft {
namespace {

// Three significant digits without an exponent or trailing zeros, in the largest fitting unit.
// 999.5 and more would round to four digits, so they move on to the next unit.
std::string in_units(double value, double step, std::span<const char* const> units) {
  size_t unit = 0;
  while (std::abs(value) >= 999.5 && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  return fmt::format("{:.3g}{}", value, units[unit]);
}

std::string two_units(int64_t total, int64_t small_per_large, char large, char small) {
  return fmt::format("{}{}{:02}{}", total / small_per_large, large, total % small_per_large, small);
}

}  // namespace

std::string format_bytes(int64_t bytes) {
  constexpr std::array<const char*, 6> kUnits = {" B", " KiB", " MiB", " GiB", " TiB", " PiB"};
  return in_units(static_cast<double>(bytes), 1024, kUnits);
}

std::string format_count(double count) {
  constexpr std::array<const char*, 5> kUnits = {"", "k", "M", "G", "T"};
  return in_units(count, 1000, kUnits);
}

std::string format_duration(double seconds) {
  constexpr int64_t kMinute = 60, kHour = 3600, kDay = 86400;
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const int64_t whole = std::llround(seconds);
  if (whole < kMinute) return fmt::format("{}s", whole);
  if (whole < kHour) return two_units(whole, kMinute, 'm', 's');
  const int64_t minutes = std::llround(seconds / kMinute);
  if (minutes < kDay / kMinute) return two_units(minutes, kHour / kMinute, 'h', 'm');
  return two_units(std::llround(seconds / kHour), kDay / kHour, 'd', 'h');
}

}  // namespace weft
