// Patterns over names, as shells write them for files.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace weft {

// Whether `pattern` matches all of `text`: * stands for any characters, dots included, ? for one,
// [abc] and [a-z] for one of a set, [!abc] for one outside it; every other character, a '[' that
// nothing closes included, for itself. Time is at most |pattern| |text|.
bool matches_glob(std::string_view pattern, std::string_view text);

// Whether one of the patterns matches.
bool matches_any(std::span<const std::string> patterns, std::string_view text);

}  // namespace weft
