#include "parallel/tensor/gpt_placement.h"

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

}  // namespace

PlacementRule tensor_parallel_placement() {
  return [](const Role& role) {
    Placement place;
    for (const Cut& cut : kCuts) {
      if (cut.role == role.name) {
        place.splits.push_back({Axis::tp, cut.dim, role.segments, role.unit});
      }
    }
    return place;
  };
}

}  // namespace weft
