// The name a mistyped one was probably meant to be.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weft {

// Fewest insertions, deletions, substitutions and swaps of neighbours (each of cost 1) that turn
// a into b; the "optimal string alignment" distance. O(|a| |b|).
size_t edit_distance(std::string_view a, std::string_view b);

// The candidate closest to `name`, if at most a third of the longer of the two would have to
// change; the earliest one on a tie.
std::optional<std::string> nearest(std::string_view name, std::span<const std::string> candidates);

}  // namespace weft
