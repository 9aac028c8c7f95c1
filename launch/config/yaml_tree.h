// One YAML document as a tree with positions, refusing what a configuration must not contain.
//
// Built on the parser's events, not on its node type: that one takes duplicate keys silently,
// follows aliases (a small file can stand for a huge or a cyclic tree) and guesses types.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/field_text.h"

namespace weft {

struct YamlNode {
  enum class Kind {
    null,
    scalar,
    list,
    map,
    refused,  // already reported as a problem: an anchor, an alias, a tag
  };
  Kind kind = Kind::null;
  int line = 1;  // both from 1; the column counts characters
  int column = 1;
  Scalar scalar;                // of a scalar
  std::vector<YamlNode> items;  // elements of a list; key, value, key, value, ... of a map
};

struct YamlProblem {
  int line;  // 0: no position
  int column;
  std::string message;
};

struct YamlDocument {
  YamlNode root;
  std::vector<YamlProblem> problems;
};

// Parses `text`: one document of valid UTF-8. Anchors, aliases, tags, nesting deeper than any
// configuration's and syntax errors become problems; after a syntax error the root is refused.
// Time and memory are linear in the text. Throws nothing of its own.
YamlDocument parse_yaml(const std::string& text);

}  // namespace weft
