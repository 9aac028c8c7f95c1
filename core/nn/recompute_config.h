// RecomputeConfig: which activations each pipeline stage computes again in backward.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/base/fields.h"
#include "core/nn/recompute.h"

namespace weft {

constexpr auto enum_names(Recompute) { return named_values("none", "selective", "full"); }

inline std::optional<Recompute> recompute_of(std::string_view name) {
  const auto names = enum_names(Recompute::none);
  const auto found = std::ranges::find(names, name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Recompute>(found - names.begin());
}

struct RecomputeConfig {
  Recompute policy = Recompute::none;
  std::vector<std::string> stages;

  // The policy of pipeline stage `stage`; `stages` has passed cross_check.
  Recompute of_stage(int stage) const {
    if (stages.empty()) return policy;
    return recompute_of(stages[static_cast<size_t>(stage)]).value();
  }

  void fields(FieldList& list);
};

}  // namespace weft
