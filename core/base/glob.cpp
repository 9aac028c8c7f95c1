#include "core/base/glob.h"

#include <algorithm>
#include <optional>

namespace weft {
namespace {

// What one character of a pattern, or a set in brackets, takes of a pattern and matches of a text.
struct Unit {
  size_t length = 1;
  bool matches = false;
};

// The set that begins at `pattern`, which begins with '['; nothing when it is not closed.
std::optional<Unit> match_set(std::string_view pattern, char c) {
  size_t i = 1;
  const bool negated = i < pattern.size() && pattern[i] == '!';
  if (negated) ++i;
  const size_t first = i;  // a ']' here is one of the set
  const size_t end = pattern.find(']', first + 1);
  if (end == std::string_view::npos) return std::nullopt;
  bool found = false;
  while (i < end) {
    if (i + 2 < end && pattern[i + 1] == '-') {
      found = found || (pattern[i] <= c && c <= pattern[i + 2]);
      i += 3;
    } else {
      found = found || pattern[i] == c;
      ++i;
    }
  }
  return Unit{end + 1, found != negated};
}

Unit match_unit(std::string_view pattern, char c) {
  if (pattern[0] == '[') {
    if (const auto set = match_set(pattern, c)) return *set;
  }
  return {1, pattern[0] == '?' || pattern[0] == c};
}

}  // namespace

// Greedy with one way back: when a later part fails, the last * takes one character more. Earlier
// stars need no second try, since the last one can take whatever they could.
bool matches_glob(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0;
  std::optional<size_t> star;  // behind the last *
  size_t resume = 0;           // where the text goes on after what it took
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      resume = t;
      continue;
    }
    if (p < pattern.size()) {
      const Unit unit = match_unit(pattern.substr(p), text[t]);
      if (unit.matches) {
        p += unit.length;
        ++t;
        continue;
      }
    }
    if (!star) return false;
    p = *star;
    t = ++resume;
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool matches_any(std::span<const std::string> patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [text](const std::string& pattern) { return matches_glob(pattern, text); });
}

}  // namespace weft
