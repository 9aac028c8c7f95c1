#include "core/base/glob.h"

#include <gtest/gtest.h>

#include <vector>

namespace weft {
namespace {

struct Case {
  const char* pattern;
  const char* text;
  bool matches;
};

TEST(Glob, MatchesAsShellsDo) {
  const Case cases[] = {
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"*", "h.0.ln_1.weight", true},
      {"h.*.weight", "h.0.ln_1.weight", true},
      {"h.*.weight", "h.0.ln_1.bias", false},
      {"h.?.attn.[qkv].*", "h.3.attn.k.bias", true},
      {"h.?.attn.[qkv].*", "h.10.attn.k.bias", false},
      {"h.[0-2].*", "h.2.x", true},
      {"h.[0-2].*", "h.3.x", false},
      {"h.[!0-2].*", "h.3.x", true},
      {"h.[!0-2].*", "h.1.x", false},
      {"wte.weight", "wte.weight", true},
      {"wte.weight", "wte.weight2", false},
      {"wte", "wte.weight", false},
      {"*a*b", "xaxbxab", true},
      {"*a*b", "xaxbxa", false},
      {"a[", "a[", true},
      {"a[b", "ab", false},
      {"[]]", "]", true},
      {"[a-]", "-", true},
      {"?", "", false},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(matches_glob(c.pattern, c.text), c.matches) << c.pattern << " " << c.text;
  }
}

TEST(Glob, HostilePatternsTakeNoTime) {
  std::string pattern;
  for (int i = 0; i < 500; ++i) pattern += "*a";
  EXPECT_FALSE(matches_glob(pattern + "b", std::string(2000, 'a')));
}

TEST(Glob, AnyOfSeveral) {
  const std::vector<std::string> patterns{"x*", "*.bias"};
  EXPECT_TRUE(matches_any(patterns, "a.bias"));
  EXPECT_FALSE(matches_any(patterns, "a.weight"));
  EXPECT_FALSE(matches_any({}, ""));
}

}  // namespace
}  // namespace weft
