#include "launch/interchange/not_finite.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft {

void NotFinite::look_at(const std::string& tensor, std::span<const float> values) {
  const auto count =
      std::count_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  if (count == 0) return;
  if (tensors_++ == 0) first_ = fmt::format("{} ({} of {} values)", tensor, count, values.size());
}

std::vector<std::string> NotFinite::notices(const std::string& where) const {
  if (tensors_ == 0) return {};
  return {fmt::format(
      "{}: NaN or infinite weights in {} tensor{}, the first is {}; a model with these computes "
      "nothing: the files are damaged, or were written after training had diverged",
      where, tensors_, tensors_ == 1 ? "" : "s", first_)};
}

}  // namespace weft
