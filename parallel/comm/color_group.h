// ColorGroup: who is together after a split, decided alike by every rank from everybody's claim.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/mesh/communicator.h"
#include "parallel/comm/parse_number.h"

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

// A claim as a text of the control plane, and back; none if the text is no claim.
inline std::string to_text(ColorClaim claim) {
  return fmt::format("{} {}", claim.color, claim.key);
}
inline std::optional<ColorClaim> parse_claim(std::string_view text) {
  const size_t space = std::min(text.find(' '), text.size());
  const auto color = parse_number<int>(text.substr(0, space));
  const auto key = parse_number<int>(text.substr(std::min(space + 1, text.size())));
  if (!color || !key) return std::nullopt;
  return ColorClaim{*color, *key};
}

// Everybody's claim in rank order, over the control plane. Collective.
inline std::vector<ColorClaim> gather_claims(Bootstrap& bootstrap, ColorClaim mine) {
  std::vector<ColorClaim> claims;
  for (const std::string& text : bootstrap.all_gather(to_text(mine))) {
    const std::optional<ColorClaim> claim = parse_claim(text);
    if (!claim) {
      fail(ErrorKind::peer,
           "rank {} of the job sends no claim to a group; do all ranks make the "
           "same calls?",
           claims.size());
    }
    claims.push_back(*claim);
  }
  return claims;
}

}  // namespace weft
