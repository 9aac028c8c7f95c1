#include "launch/config/path_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string_view>

namespace weft {
namespace {

bool is_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

const char* value_of(const char* name) { return std::getenv(name); }

PathText wrong_path(std::string message) { return {.path = {}, .problem = std::move(message)}; }

}  // namespace

PathText expand_home(const std::string& text, Environment get) {
  if (!text.starts_with('~')) return {.path = text, .problem = {}};
  const size_t slash = std::min(text.find('/'), text.size());
  if (slash > 1) {
    return wrong_path(
        fmt::format("begins with {}, which is not looked up; write that folder out, or ./{}",
                    text.substr(0, slash), text.substr(0, slash)));
  }
  const char* home = get("HOME");
  if (home == nullptr || home[0] != '/') {
    return wrong_path("begins with ~, but HOME is no path in this environment; write the path out");
  }
  return {.path = home + text.substr(1), .problem = {}};
}

PathText expand_path(const std::string& text, Environment get) {
  // What a variable holds is not looked through again.
  std::string_view rest = text;
  std::string path;
  if (text.starts_with('~')) {
    PathText home = expand_home(text, get);
    if (!home.problem.empty()) return home;
    rest.remove_prefix(1);
    path = home.path.substr(0, home.path.size() - rest.size());
  }
  while (!rest.empty()) {
    const size_t dollar = std::min(rest.find('$'), rest.size());
    path += rest.substr(0, dollar);
    rest.remove_prefix(dollar);
    if (rest.empty()) break;
    if (rest.starts_with("$$")) {
      path += '$';
      rest.remove_prefix(2);
      continue;
    }
    const bool braces = rest.size() > 1 && rest[1] == '{';
    const size_t begin = braces ? 2 : 1;
    size_t end = begin;
    while (end < rest.size() && is_name(rest[end])) ++end;
    const std::string name(rest.substr(begin, end - begin));
    if (braces && (name.empty() || end == rest.size() || rest[end] != '}')) {
      return wrong_path("has ${ without a name and }");
    }
    if (name.empty()) {
      path += '$';
      rest.remove_prefix(1);
      continue;
    }
    const char* value = get(name.c_str());
    if (value == nullptr || value[0] == '\0') {
      return wrong_path(
          fmt::format("names the variable {}, which this environment does not have; "
                      "write the path out, or export it",
                      name));
    }
    path += value;
    rest.remove_prefix(braces ? end + 1 : end);
  }
  // Of a variable that was set in quotes; nothing looks it up any more.
  if (path.starts_with('~')) return wrong_path(fmt::format("becomes {}; write the path out", path));
  return {.path = std::move(path), .problem = {}};
}

std::string escape_path(const std::string& path) {
  std::string text;
  for (const char c : path) text.append(c == '$' ? 2 : 1, c);
  return text;
}

PathText expand_home(const std::string& text) { return expand_home(text, value_of); }
PathText expand_path(const std::string& text) { return expand_path(text, value_of); }

}  // namespace weft
