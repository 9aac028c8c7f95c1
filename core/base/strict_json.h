// JSON that nobody vouches for, as other programs write it beside their weights.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace weft {

// Parses an object. Throws Error{input} naming `path` for anything else, for a key that is there
// twice, for a number beyond doubles, for nesting deeper than 64 and for more than 2^23 values.
nlohmann::json parse_strict_json(std::string_view text, const std::string& path);

// `text`, fit for a message: at most 80 bytes, control characters and what is not ASCII as '?'.
std::string printable(std::string_view text);

}  // namespace weft
