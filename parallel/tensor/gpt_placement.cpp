#include "parallel/tensor/gpt_placement.h"

#include <algorithm>
#include <array>

namespace weft {
namespace {

struct Cut {
  std::string_view role;
  int dim;
};
constexpr std::array<Cut, 8> kCuts{{{"wte.weight", 0},
                                    {"attn.qkv.weight", 0},
                                    {"attn.qkv.bias", 0},
                                    {"attn.projection.weight", 1},
                                    {"mlp.up.weight", 0},
                                    {"mlp.up.bias", 0},
                                    {"mlp.down.weight", 1},
                                    {"lm_head.weight", 0}}};

// Under sequence parallelism a rank normalises its share of the rows, so it has a part of their
// weights' gradients.
constexpr std::array<std::string_view, 6> kPartial{"ln_1.weight", "ln_1.bias",   "ln_2.weight",
                                                   "ln_2.bias",   "ln_f.weight", "ln_f.bias"};

}  // namespace

PlacementRule tensor_parallel_placement() {
  return [](const Role& role) {
    Placement place;
    for (const Cut& cut : kCuts) {
      if (cut.role == role.name) {
        place.splits.push_back({Axis::tp, cut.dim, role.segments, role.unit});
      }
    }
    if (std::find(kPartial.begin(), kPartial.end(), role.name) != kPartial.end()) {
      place.grad_partial = {Axis::tp};
    }
    return place;
  };
}

}  // namespace weft
