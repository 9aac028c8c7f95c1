#include "launch/host/cache_folder.h"

#include <cstdlib>

namespace weft {

std::optional<std::string> cache_folder(GetVariable get) {
  constexpr const char* kPlaces[][2] = {
      {"WEFT_CACHE", ""}, {"XDG_CACHE_HOME", "/weft"}, {"HOME", "/.cache/weft"}};
  for (const auto& [variable, below] : kPlaces) {
    const char* value = get(variable);
    if (value != nullptr && value[0] == '/') return std::string(value) + below;
  }
  return std::nullopt;
}

std::optional<std::string> cache_folder() {
  return cache_folder([](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace weft
