#include "data/tokenizer/utf8.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/base/error.h"

namespace weft {
namespace {

using namespace std::string_view_literals;
using testing::HasSubstr;

TEST(Utf8, EveryCodePointSurvivesTheRoundTrip) {
  for (char32_t cp = 0; cp < 0x110000; ++cp) {
    if (cp >= 0xD800 && cp < 0xE000) continue;
    std::string bytes;
    append_utf8(cp, bytes);
    const CodePoint back = decode_utf8(bytes, 0);
    ASSERT_EQ(back.value, cp);
    ASSERT_EQ(static_cast<size_t>(back.bytes), bytes.size());
    ASSERT_FALSE(find_invalid_utf8(bytes)) << code_point_name(cp);
  }
}

TEST(Utf8, RefusesWhatRfc3629Forbids) {
  const std::string_view bad[] = {
      "\x80"sv,              // continuation byte alone
      "\xC0\x80"sv,          // overlong NUL
      "\xC1\xBF"sv,          // overlong
      "\xE0\x9F\xBF"sv,      // overlong
      "\xF0\x8F\xBF\xBF"sv,  // overlong
      "\xED\xA0\x80"sv,      // surrogate
      "\xF4\x90\x80\x80"sv,  // above U+10FFFF
      "\xF5\x80\x80\x80"sv,  // no such lead
      "\xFF"sv,
      "\xC3"sv,  // cut short
      "\xE2\x82"sv,
      "\xF0\x9F\x98"sv,
      "\xC3("sv,  // not continued
  };
  for (const std::string_view text : bad) {
    const std::string padded = "0123456789\nabc" + std::string(text) + "tail";
    const auto fault = find_invalid_utf8(padded);
    ASSERT_TRUE(fault) << testing::PrintToString(text);
    EXPECT_EQ(fault->offset, 14u);
    EXPECT_EQ(fault->line, 2u);
    EXPECT_EQ(decode_utf8(text, 0).value, kInvalidCodePoint);
  }
}

TEST(Utf8, TheMessageNamesTheByte) {
  try {
    require_utf8("one\ntwo\xFF", "book.txt");
    FAIL() << "accepted";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::input);
    EXPECT_THAT(e.what(), HasSubstr("book.txt: not UTF-8: byte 0xff at offset 7 (line 2)"));
  }
}

}  // namespace
}  // namespace weft
