#include "core/ops/op.h"

#include <fmt/format.h>

namespace weft {

Cost moved(std::initializer_list<Tensor> tensors) {
  size_t sum = 0;
  for (const Tensor& t : tensors) sum += t.shape().rank() == 0 ? 0 : t.bytes();  // may be absent
  return {.bytes = static_cast<double>(sum)};
}

std::string shapes_of(const OpCall& call) {
  std::string text;
  for (const Tensor& t : call.tensors) {
    if (!t.empty()) text += fmt::format("{}{}", text.empty() ? "" : " ", to_string(t));
  }
  return text;
}

}  // namespace weft
