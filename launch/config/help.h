// The configuration reference, in words.
#pragma once

#include <optional>
#include <string>

namespace weft {

// Plain text about one key ("train.steps"), one group ("train") or, without a key, all of them.
// Throws Error{config} for an unknown key, naming the nearest one.
std::string config_help(const std::optional<std::string>& key = std::nullopt);

// docs/config.md as a whole.
std::string config_docs();

}  // namespace weft
