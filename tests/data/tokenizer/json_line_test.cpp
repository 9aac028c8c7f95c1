// One field out of a line of JSON: what is accepted is what a complete parser accepts.
#include "data/tokenizer/json_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "core/base/error.h"

namespace weft {
namespace {

using State = JsonText::State;

JsonText text_of(const std::string& line) { return find_json_text(line, "text", "here"); }

TEST(JsonLine, FindsTheFieldAndNoOther) {
  EXPECT_EQ(text_of(R"({"a":{"text":"no"},"text":"yes","b":["text"]})").text, "yes");
  EXPECT_EQ(text_of(R"({"te\u0078t":"escaped name"})").text, "escaped name");
  EXPECT_EQ(text_of(R"({"text":"\"\\\/\b\f\n\r\t\u00e9\ud834\udd1e"})").text,
            "\"\\/\b\f\n\r\t\xC3\xA9\xF0\x9D\x84\x9E");
  EXPECT_EQ(text_of(R"({"b":1})").state, State::missing);
  EXPECT_EQ(text_of(R"({"b":1})").first_key, "b");
  EXPECT_EQ(text_of(R"({"text":null})").state, State::null);
  EXPECT_EQ(text_of(R"({"text":[]})").state, State::other);
  EXPECT_EQ(text_of(R"({})").state, State::missing);
}

TEST(JsonLine, KnowsObjects) {
  EXPECT_TRUE(is_json_object(R"( {"a":NaN} )"));
  for (const char* line : {"", "{}", "[]", "{", "{\"a\"", "text", "{\"a\":1} x"}) {
    EXPECT_FALSE(is_json_object(line)) << line;
  }
}

class RandomJson {
 public:
  std::string object(int depth) {
    std::string out = "{";
    for (int n = pick(4); n >= 0; --n) {
      out += space() + "\"" + std::string(1, static_cast<char>('a' + n)) + "\"" + space() + ":" +
             space() + value(depth) + (n > 0 ? "," : "");
    }
    return out + space() + "}";
  }
  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

 private:
  std::string space() { return pick(4) == 0 ? " " : ""; }
  std::string value(int depth) {
    static const char* const kPlain[] = {"0",    "-1",      "12.5",       "3e-7",  "1E+2",
                                         "true", "null",    "\"\"",       "false", "\"x\"",
                                         "-0",   "\"\\n\"", "\"\\u00e9\""};
    if (depth == 0 || pick(2) == 0) return kPlain[pick(std::size(kPlain))];
    if (pick(2) == 0) return object(depth - 1);
    std::string out = "[";
    for (int n = pick(3); n > 0; --n) out += space() + value(depth - 1) + (n > 1 ? "," : "");
    return out + space() + "]";
  }

  std::mt19937 random_{7};
};

TEST(JsonLine, AcceptsWhatACompleteParserAccepts) {
  RandomJson random;
  int accepted = 0, refused = 0;
  for (int i = 0; i < 30'000; ++i) {
    std::string line = random.object(3);
    // As it is, or with a character lost, doubled or replaced.
    constexpr std::string_view kCharacters = "{}[],:\"\\0123eE+-. utfnx";
    const auto at = static_cast<size_t>(random.pick(static_cast<int>(line.size())));
    const int change = random.pick(4);
    if (change == 1) line.erase(at, 1);
    if (change == 2) line.insert(at, 1, line[at]);
    if (change == 3) line[at] = kCharacters[static_cast<size_t>(random.pick(kCharacters.size()))];
    const auto parsed = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const bool legal = parsed.is_object() && !parsed.empty();
    ASSERT_EQ(is_json_object(line), legal) << line;
    ++(legal ? accepted : refused);
  }
  EXPECT_GT(accepted, 5'000);
  EXPECT_GT(refused, 5'000);
}

}  // namespace
}  // namespace weft
