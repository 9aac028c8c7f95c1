// NotFinite: finds weights that no model computes with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weft {

// Counts the values of tensors that are NaN or infinite.
class NotFinite {
 public:
  void look_at(const std::string& tensor, std::span<const float> values);

  // A line that names the first tensors that have such values; nothing when none has.
  std::vector<std::string> notices(const std::string& where) const;

 private:
  std::string first_;  // tensor, with its numbers
  int64_t tensors_ = 0;
};

}  // namespace weft
