// Texts in parts, and the formats of tokenize and detokenize.
#include "data/tokenizer/lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <sstream>

#include "tests/data/tokenizer/fixture.h"

namespace weft {
namespace {

using testing::HasSubstr;

std::unique_ptr<Tokenizer> bytes() { return load_tokenizer({"byte", "", "", ""}); }

// The whole output of `run(source, sink)` on `input`.
template <typename Run>
std::string output_of(const std::string& input, Run run) {
  std::istringstream in(input);
  std::string out;
  run(TextSource{in, "in.txt"}, [&](std::string_view piece) { out += piece; });
  return out;
}

std::string ids_of(const Tokenizer& t, const std::string& text, bool specials = false) {
  return output_of(text, [&](TextSource source, const ByteSink& sink) {
    tokenize_text(t, std::move(source), specials, sink);
  });
}
std::string text_of(const Tokenizer& t, const std::string& ids) {
  return output_of(ids, [&](TextSource source, const ByteSink& sink) {
    detokenize_text(t, std::move(source), sink);
  });
}
std::string ids_of_lines(const Tokenizer& t, const std::string& lines) {
  return output_of(lines, [&](TextSource source, const ByteSink& sink) {
    tokenize_jsonl(t, std::move(source), false, sink);
  });
}
std::string text_of_lines(const Tokenizer& t, const std::string& lines) {
  return output_of(lines, [&](TextSource source, const ByteSink& sink) {
    detokenize_jsonl(t, std::move(source), sink);
  });
}

TEST(Parts, AreTheWholeWhereverTheyEnd) {
  const std::string text = "It's\n\n a caf\xC3\xA9 \xF0\x9F\x98\x80\n\nx\n1\r\n\xE4\xB8\xAD\n.";
  const auto chars = char_tokenizer_from_text(text);
  const auto byte = bytes();
  std::vector<const Tokenizer*> all = {chars.get(), byte.get()};
  std::unique_ptr<Tokenizer> gpt2, cl100k;
  if (have_vocabularies()) {
    all.push_back((gpt2 = load_tokenizer(gpt2_spec())).get());
    all.push_back((cl100k = load_tokenizer(cl100k_spec())).get());
  }
  for (const Tokenizer* tokenizer : all) {
    for (size_t part = 1; part <= text.size() + 1; ++part) {
      std::istringstream in(text);
      std::vector<TokenId> ids;
      size_t total = 0;
      encode_parts(
          *tokenizer, {in, "text"}, false,
          [&](std::span<const TokenId> some, size_t text_bytes) {
            ids.insert(ids.end(), some.begin(), some.end());
            total += text_bytes;
          },
          part);
      ASSERT_EQ(ids, encode(*tokenizer, text)) << tokenizer->kind() << " in parts of " << part;
      ASSERT_EQ(total, text.size());
    }
  }
}

TEST(Parts, ErrorsCountFromTheStartOfTheText) {
  const auto chars = char_tokenizer_from_text("ab\n");
  const auto run = [&](const std::string& text) {
    return message_of([&] {
      std::istringstream in(text);
      encode_parts(
          *chars, {in, "in.txt"}, false, [](auto, size_t) {}, 4);
    });
  };
  EXPECT_THAT(run("ab\nab\nab\xFFz"),
              HasSubstr("in.txt: not UTF-8: byte 0xff at offset 8 (line 3)"));
  EXPECT_THAT(run("ab\nab\nab\xC3"), HasSubstr("byte 0xc3 at offset 8 (line 3)"));
  EXPECT_THAT(run("aé"), HasSubstr("in.txt: character U+00E9 at byte offset 1 (line 1)"));
  EXPECT_THAT(run("abab\nx"), HasSubstr("(counted from byte offset 4, line 1 of the text)"));
}

TEST(Lines, OneLineOfIdsAndBack) {
  const auto tokenizer = bytes();
  EXPECT_EQ(ids_of(*tokenizer, "ab\n"), "97 98 10\n");
  EXPECT_EQ(ids_of(*tokenizer, ""), "\n");
  EXPECT_EQ(text_of(*tokenizer, "97 98\n\t10\r\n 195 169"), "ab\n\xC3\xA9");
  EXPECT_EQ(text_of(*tokenizer, ""), "");
  const std::string text(300'000, 'x');
  EXPECT_EQ(text_of(*tokenizer, ids_of(*tokenizer, text)), text);
}

TEST(Lines, SaysWhichWordIsNoId) {
  const auto tokenizer = bytes();
  for (const char* word : {"x", "-1", "256", "1.5", "99999999999", "0x10"}) {
    const auto what = message_of([&] { text_of(*tokenizer, std::string("1 2\n") + word + " 3"); });
    EXPECT_THAT(what, HasSubstr("in.txt: \"" + std::string(word) + "\" before byte offset " +
                                std::to_string(4 + strlen(word)) + " (line 2)"));
  }
}

TEST(Lines, OneObjectALineAndBack) {
  const auto tokenizer = bytes();
  EXPECT_EQ(ids_of_lines(*tokenizer, "{\"text\":\"a\\n\"}\n{\"text\":\"\",\"id\":7}"),
            "{\"ids\":[97,10]}\n{\"ids\":[]}\n");
  EXPECT_EQ(text_of_lines(*tokenizer, "{\"ids\":[97,10]}\n{\"ids\":[195,169]}\n{\"ids\":[]}\n"),
            "{\"text\":\"a\\n\"}\n{\"text\":\"\xC3\xA9\"}\n{\"text\":\"\"}\n");
  EXPECT_EQ(ids_of_lines(*tokenizer, ""), "");
  EXPECT_EQ(ids_of_lines(*tokenizer, "{\"text\":null,\"x\":1e999}"), "{\"ids\":[]}\n");
  EXPECT_EQ(text_of_lines(*tokenizer, "{\"x\":[NaN],\"ids\":[ 97 , 98 ]}"), "{\"text\":\"ab\"}\n");
}

TEST(Lines, SaysWhichLineIsWrong) {
  const auto tokenizer = bytes();
  const auto text = [&](const std::string& line) {
    return message_of([&] { ids_of_lines(*tokenizer, "{\"text\":\"\"}\n" + line); });
  };
  EXPECT_THAT(text("{\"text\":\"a"), HasSubstr("in.txt:2: broken JSON"));
  EXPECT_THAT(text("\n"), HasSubstr("in.txt:2: is no JSON"));
  EXPECT_THAT(text("[]"), HasSubstr("in.txt:2: is a list, not an object"));
  EXPECT_THAT(text("{\"txt\":\"a\"}"), HasSubstr("in.txt:2: no string \"text\""));
  EXPECT_THAT(text("{\"text\":5}"), HasSubstr("in.txt:2: no string \"text\""));
  EXPECT_THAT(text("{\"text\":\"\xFF\"}"), HasSubstr("in.txt:2: not UTF-8"));
  const auto ids = [&](const std::string& line) {
    return message_of([&] { text_of_lines(*tokenizer, "{\"ids\":[]}\n" + line); });
  };
  EXPECT_THAT(ids("{\"ids\":5}"), HasSubstr("in.txt:2: field 'ids' is a number, not a list"));
  EXPECT_THAT(ids("{}"), HasSubstr("in.txt:2: no list \"ids\""));
  EXPECT_THAT(ids("{\"ids\":[256]}"), HasSubstr("in.txt:2: 256 is not an id"));
  EXPECT_THAT(ids("{\"ids\":[-1]}"), HasSubstr("in.txt:2: -1 is not an id"));
  EXPECT_THAT(ids("{\"ids\":[1.5]}"), HasSubstr("in.txt:2: 1.5 is not an id"));
  EXPECT_THAT(ids("{\"ids\":[" + std::string(150'000, '[')), HasSubstr("in.txt:2: [[["));
  for (const char* id : {"01", "1e3", "null", "\"1\"", "99999999999999999999", ""}) {
    EXPECT_THAT(ids(std::string("{\"ids\":[1, ") + id + " ]}"), HasSubstr("is not an id")) << id;
  }
  EXPECT_THAT(ids("{\"ids\":[1],\"ids\":[2]}"), HasSubstr("in.txt:2: field 'ids' is there twice"));
  EXPECT_THAT(ids("{\"ids\":[195]}"), HasSubstr("in.txt:2: the ids end or begin inside"));
}

}  // namespace
}  // namespace weft
