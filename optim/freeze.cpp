#include "optim/freeze.h"

#include <algorithm>

#include "core/base/glob.h"

namespace weft {

void freeze(ParameterSet& parameters, std::span<const std::string> patterns) {
  for (const auto& p : parameters) {
    const std::vector<Part>& parts = p->spec.parts;
    p->frozen = parts.empty() ? matches_any(patterns, p->spec.name)
                              : std::all_of(parts.begin(), parts.end(), [&](const Part& part) {
                                  return matches_any(patterns, part.name);
                                });
  }
}

void clear_frozen_gradients(ParameterSet& parameters, Ops& ops, Stream& stream) {
  for (const auto& p : parameters) {
    if (p->frozen && p->own.size() > 0) ops(op::Fill{.x = p->own_grad, .value = 0}, stream);
  }
}

}  // namespace weft
