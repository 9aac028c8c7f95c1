#include "core/base/fields.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/field_text.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Inner {
  enum class Color { red, green, blue };
  friend constexpr auto enum_names(Color) { return named_values("red", "green", "blue"); }

  double rate = 0.5;
  Color color = Color::green;
  void fields(FieldList& list) {
    list.key("rate", rate, at_least_below(0.0, 1.0), "", "A rate.");
    list.key("color", color, "A color.");
  }
};

struct Outer {
  bool on = true;
  int64_t count = 3;
  std::optional<int64_t> size;
  std::string name = "a b";
  std::string file = "run-1";
  std::optional<std::string> place;
  Inner inner;
  std::vector<std::string> paths;
  std::vector<int64_t> sizes = {1, 2};
  double scale = 1;

  void fields(FieldList& list) {
    list.key("on", on, "Whether it is on.");
    list.key("count", count, between(1, 10), "things", "How many.");
    list.key_auto("size", size, at_least(1), "bytes", "as needed", "How large.");
    list.key("name", name, TextRule::any, "Its name.");
    list.key("file", file, TextRule::file_name, "Its file.");
    list.key_auto("place", place, TextRule::path, "here", "Where.");
    list.group("inner", inner, "Within.");
    list.key("paths", paths, TextRule::path, "Which paths.");
    list.key("sizes", sizes, between(0, 5), "", "Which sizes.");
    list.key("scale", scale, above(0.0), "", "A scale.");
  }
};

class Fields : public ::testing::Test {
 protected:
  const Field& field(std::string_view key) const {
    for (const Field& candidate : fields_) {
      if (candidate.key == key) return candidate;
    }
    ADD_FAILURE() << "no field " << key;
    return fields_.front();
  }
  // The violation of a plain scalar; empty if it was taken.
  std::string put(std::string_view key, const std::string& text, bool quoted = false) {
    return assign(field(key), {.text = text, .quoted = quoted}).value_or("");
  }
  std::string text(std::string_view key) const { return value_text(field(key)); }

  Outer outer_;
  std::vector<Field> fields_ = fields_of(outer_);
};

TEST_F(Fields, AreListedInOrderWithDottedKeysAndGroupsFirst) {
  std::vector<std::string> keys;
  for (const Field& field : fields_) keys.push_back(field.key);
  EXPECT_THAT(keys, ElementsAre("on", "count", "size", "name", "file", "place", "inner",
                                "inner.rate", "inner.color", "paths", "sizes", "scale"));
  EXPECT_TRUE(field("inner").is_group());
  EXPECT_EQ(field("inner.rate").depth(), 1);
  EXPECT_EQ(field("inner.rate").leaf(), "rate");
  EXPECT_EQ(field("size").unit, "bytes");
  EXPECT_EQ(field("size").automatic, "as needed");
}

TEST_F(Fields, ReadEveryKindOfValue) {
  EXPECT_EQ(put("on", "false"), "");
  EXPECT_EQ(put("count", "10"), "");
  EXPECT_EQ(put("size", "4096"), "");
  EXPECT_EQ(put("name", "12"), "");
  EXPECT_EQ(put("place", "a/b"), "");
  EXPECT_EQ(put("inner.rate", "1e-3"), "");
  EXPECT_EQ(put("inner.color", "blue"), "");
  EXPECT_TRUE(assign_list(field("paths"), std::vector<Scalar>{{"x", false}, {"y", true}}).empty());
  EXPECT_TRUE(assign_list(field("sizes"), std::vector<Scalar>{{"5", false}}).empty());
  EXPECT_FALSE(outer_.on);
  EXPECT_EQ(outer_.count, 10);
  EXPECT_EQ(outer_.size, 4096);
  EXPECT_EQ(outer_.name, "12");
  EXPECT_EQ(outer_.place, "a/b");
  EXPECT_EQ(outer_.inner.rate, 1e-3);
  EXPECT_EQ(outer_.inner.color, Inner::Color::blue);
  EXPECT_THAT(outer_.paths, ElementsAre("x", "y"));
  EXPECT_THAT(outer_.sizes, ElementsAre(5));
}

TEST_F(Fields, AutoIsAWordOnlyWithoutQuotes) {
  EXPECT_EQ(put("size", "7"), "");
  EXPECT_EQ(put("size", "auto"), "");
  EXPECT_EQ(outer_.size, std::nullopt);
  EXPECT_EQ(put("place", "auto", true), "");
  EXPECT_EQ(outer_.place, "auto");
  EXPECT_EQ(text("place"), "\"auto\"");
  EXPECT_EQ(put("place", "auto"), "");
  EXPECT_EQ(outer_.place, std::nullopt);
  EXPECT_THAT(put("count", "auto"), HasSubstr("'auto' is not an integer"));
}

TEST_F(Fields, RefuseIntegersThatAreNotWrittenOut) {
  for (const char* wrong : {"010", "1e1", "3.0", "0x3", "1_0", "+3", "", " 3", "3 ", "yes", "-"}) {
    EXPECT_THAT(put("count", wrong), HasSubstr("is not an integer")) << wrong;
  }
  EXPECT_EQ(put("count", "1e1"),
            "'1e1' is not an integer (write 10); legal: an integer from 1 to 10");
  EXPECT_THAT(put("count", "1_0"), HasSubstr("(write 10)"));
  EXPECT_THAT(put("count", "3", true), HasSubstr("a text in quotes, not an integer"));
  for (const char* outside : {"0", "11", "-1", "99999999999999999999", "-99999999999999999999"}) {
    EXPECT_THAT(put("count", outside), HasSubstr("is out of range")) << outside;
  }
  EXPECT_EQ(outer_.count, 3);
}

TEST_F(Fields, RefuseNumbersThatAreNotFiniteDecimals) {
  for (const char* wrong : {"1,5", "0x1p3", "1e", "e5", ".", "-", "", "01", "1_0", "abc", "1 "}) {
    EXPECT_THAT(put("scale", wrong), HasSubstr("is not a number")) << wrong;
  }
  for (const char* wrong : {".nan", "nan", "NaN", ".inf", "-.inf", "inf", "+.INF", "Infinity"}) {
    EXPECT_THAT(put("scale", wrong), HasSubstr("is not a finite number")) << wrong;
  }
  EXPECT_THAT(put("scale", "1e999"), HasSubstr("too large or too small"));
  EXPECT_EQ(put("scale", "0"), "'0' is out of range; legal: a number > 0");
  EXPECT_EQ(put("inner.rate", "1"), "'1' is out of range; legal: a number >= 0 and < 1");
  EXPECT_EQ(put("inner.rate", "0"), "");
  EXPECT_EQ(put("scale", ".5"), "");
  EXPECT_EQ(outer_.scale, 0.5);
}

TEST_F(Fields, RefuseBooleansOfOtherLanguages) {
  for (const char* wrong : {"yes", "no", "True", "FALSE", "on", "1", "0", ""}) {
    EXPECT_THAT(put("on", wrong), HasSubstr("is neither true nor false")) << wrong;
  }
  EXPECT_THAT(put("on", "true", true), HasSubstr("in quotes"));
}

TEST_F(Fields, NameTheValueThatAWrongChoiceMayHaveMeant) {
  EXPECT_EQ(put("inner.color", "gren"),
            "'gren' is not a value (did you mean green?); legal: red, green, blue");
  EXPECT_EQ(put("inner.color", "violet"), "'violet' is not a value; legal: red, green, blue");
}

TEST_F(Fields, HoldTextsToTheirRule) {
  EXPECT_THAT(put("place", ""), HasSubstr("is empty"));
  EXPECT_THAT(put("name", std::string("a\0b", 3)), HasSubstr("'a\\x00b' has a control character"));
  for (const char* wrong : {"a/b", "..", ".hidden", "a b", "ä", ""}) {
    EXPECT_NE(put("file", wrong), "") << wrong;
  }
  EXPECT_NE(put("file", std::string(201, 'a')), "");
  EXPECT_EQ(put("file", "gpt2_124m-1.5"), "");
  EXPECT_EQ(put("name", ""), "");
}

TEST_F(Fields, ReportEveryElementOfAListThatIsWrong) {
  const auto violations =
      assign_list(field("sizes"), std::vector<Scalar>{{"9", false}, {"1", false}, {"x", false}});
  ASSERT_EQ(violations.size(), 2u);
  EXPECT_EQ(violations[0].index, 0u);
  EXPECT_EQ(violations[1].index, 2u);
  EXPECT_THAT(violations[0].message, HasSubstr("'9' is out of range"));
  EXPECT_THAT(outer_.sizes, ElementsAre(1, 2));
  EXPECT_THAT(put("sizes", "1"), HasSubstr("'1' is not a list; legal: a list such as [1, 2]"));
}

TEST_F(Fields, PrintValuesAsYaml) {
  EXPECT_EQ(text("on"), "true");
  EXPECT_EQ(text("count"), "3");
  EXPECT_EQ(text("size"), "auto");
  EXPECT_EQ(text("name"), "\"a b\"");
  EXPECT_EQ(text("file"), "run-1");
  EXPECT_EQ(text("inner.color"), "green");
  EXPECT_EQ(text("paths"), "[]");
  EXPECT_EQ(text("sizes"), "[1, 2]");
  EXPECT_EQ(text("inner"), "");
  outer_.paths = {"data/a.bin", "with \"quotes\"", "null", "3", "~", "../up"};
  EXPECT_EQ(text("paths"), R"([data/a.bin, "with \"quotes\"", "null", "3", "~", ../up])");
}

TEST_F(Fields, PrintNumbersShortAndExact) {
  const std::pair<double, const char*> cases[] = {{1e-5, "1e-5"}, {6e-4, "6e-4"},   {0.1, "0.1"},
                                                  {1, "1"},       {1e300, "1e300"}, {1e10, "1e10"}};
  for (const auto& [value, expected] : cases) {
    outer_.scale = value;
    EXPECT_EQ(text("scale"), expected);
  }
  for (double value = 1e-300; value < 1e300; value *= 1.7e7) {
    outer_.scale = value;
    const std::string printed = text("scale");
    outer_.scale = 0;
    ASSERT_EQ(put("scale", printed), "") << printed;
    EXPECT_EQ(outer_.scale, value);
  }
}

TEST(Shown, EscapesAndShortens) {
  EXPECT_EQ(shown("a\tb"), "'a\\x09b'");
  const std::string x59(59, 'x');
  EXPECT_EQ(shown(x59 + "x"), fmt::format("'{}x'", x59));
  EXPECT_EQ(shown(x59 + "xx"), fmt::format("'{}x...'", x59));
  EXPECT_EQ(shown(x59 + "\xc3\xa9y"), fmt::format("'{}...'", x59));
}

}  // namespace
}  // namespace weft
