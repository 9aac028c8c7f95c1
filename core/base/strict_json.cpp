#include "core/base/strict_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "core/base/error.h"

namespace weft {

std::string printable(std::string_view text) {
  std::string result(text.substr(0, 80));
  std::replace_if(
      result.begin(), result.end(), [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

nlohmann::json parse_strict_json(std::string_view text, const std::string& path) {
  constexpr int kDeepest = 64;
  constexpr int64_t kMostValues = int64_t{1} << 23;
  using Json = nlohmann::json;
  std::vector<std::set<std::string>> keys;
  int64_t values = 0;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (++values > kMostValues) fail(ErrorKind::input, "{}: over {} values", path, kMostValues);
    if (depth > kDeepest) fail(ErrorKind::input, "{}: nested over {} deep", path, kDeepest);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key &&
        !keys.back().insert(parsed.get<std::string>()).second) {
      fail(ErrorKind::input, "{}: key '{}' is there twice", path,
           printable(parsed.get<std::string>()));
    }
    return true;
  };
  try {
    Json json = Json::parse(text, check);
    if (!json.is_object()) fail(ErrorKind::input, "{}: is no JSON object", path);
    return json;
  } catch (const Json::exception& error) {
    fail(ErrorKind::input, "{}: {}", path, printable(error.what()));
  }
}

}  // namespace weft
