// JSON text to values and back, compiled once: the library's parse and dump take seconds in every
// file that calls them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace weft {

// What weft itself has written. Throws nlohmann::json::parse_error for anything that is no JSON.
nlohmann::json parse_json(std::string_view text);
// The same, but a discarded value (is_discarded) for what is no JSON.
nlohmann::json parse_json_if_any(std::string_view text);

// On one line, or with `indent` spaces a level. Bytes that are no UTF-8 become U+FFFD.
std::string json_text(const nlohmann::json& json, int indent = -1);
std::string json_text(const nlohmann::ordered_json& json, int indent = -1);

}  // namespace weft
