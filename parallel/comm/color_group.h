// ColorGroup: who is together after a split, decided alike by every rank from everybody's claim.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/dist/communicator.h"

namespace weft {

struct ColorClaim {
  int color = 0;
  int key = 0;
};

// World ranks with the color of `rank`, ordered by key, then rank. claims[r] is rank r's.
inline std::vector<int> color_group(const std::vector<ColorClaim>& claims, int rank) {
  const auto claim = [&](int r) { return claims[static_cast<size_t>(r)]; };
  std::vector<int> members;
  for (int r = 0; r < static_cast<int>(claims.size()); ++r) {
    if (claim(r).color == claim(rank).color) members.push_back(r);
  }
  std::stable_sort(members.begin(), members.end(),
                   [&](int a, int b) { return claim(a).key < claim(b).key; });
  return members;
}

// Everybody's claim in rank order, over the control plane. Collective.
inline std::vector<ColorClaim> gather_claims(Bootstrap& bootstrap, ColorClaim mine) {
  std::vector<ColorClaim> claims;
  for (const std::string& text : bootstrap.all_gather(fmt::format("{} {}", mine.color, mine.key))) {
    const size_t space = text.find(' ');
    claims.push_back({std::stoi(text.substr(0, space)), std::stoi(text.substr(space + 1))});
  }
  return claims;
}

}  // namespace weft
