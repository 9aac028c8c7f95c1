// The byte and char tokenizers, and tokenizers kept in a directory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "data/tokenizer/tokenizer.h"
#include "tests/data/tokenizer/fixture.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ByteTokenizer, IdsAreBytes) {
  const auto tokenizer = load_tokenizer({.kind = "byte", .vocab = {}, .merges = {}, .ranks = {}});
  EXPECT_EQ(tokenizer->vocab_size(), 256);
  EXPECT_THAT(encode(*tokenizer, "a\xC3\xA9"), ElementsAre(97, 0xC3, 0xA9));
  EXPECT_EQ(decode(*tokenizer, {97, 0xC3, 0xA9}), "a\xC3\xA9");
  EXPECT_THROW(decode(*tokenizer, {256}), Error);
  EXPECT_THROW(decode(*tokenizer, {-1}), Error);
}

TEST(CharTokenizer, VocabularyIsTheSortedCodePoints) {
  const auto tokenizer = char_tokenizer_from_text("bab\xC3\xA9\n\xF0\x9F\x98\x80");
  EXPECT_EQ(tokenizer->vocab_size(), 5);
  const std::string text =
      "\xF0\x9F\x98\x80"
      "ab\xC3\xA9\n";
  EXPECT_THAT(encode(*tokenizer, text), ElementsAre(4, 1, 2, 3, 0));
  EXPECT_EQ(decode(*tokenizer, encode(*tokenizer, text)), text);
  EXPECT_THROW(decode(*tokenizer, {5}), Error);
}

TEST(CharTokenizer, NamesTheUnknownCharacter) {
  const auto tokenizer = char_tokenizer_from_text("ab\n");
  const auto what = message_of([&] { encode(*tokenizer, "ab\na\xC3\xA9"); }, ErrorKind::input);
  EXPECT_THAT(what, HasSubstr("U+00E9 at byte offset 4 (line 2)"));
  EXPECT_THAT(what, HasSubstr("3 characters"));
}

TEST(CharTokenizer, RefusesAnEmptyTextAndBytesThatAreNotUtf8) {
  EXPECT_THROW(char_tokenizer_from_text(""), Error);
  EXPECT_THROW(char_tokenizer_from_text("a\xFF"), Error);
}

// What has() says and what decode() takes are one.
TEST(Tokenizers, KnowWhichIdsStandForSomething) {
  std::vector<std::unique_ptr<Tokenizer>> all;
  all.push_back(load_tokenizer({"byte", "", "", ""}));
  all.push_back(char_tokenizer_from_text("abc"));
  if (have_vocabularies()) {
    all.push_back(load_tokenizer(gpt2_spec()));
    all.push_back(load_tokenizer(cl100k_spec()));
  }
  for (const auto& tokenizer : all) {
    for (TokenId id = -1; id < tokenizer->vocab_size() + 50; ++id) {
      std::string text;
      bool decodes = true;
      try {
        tokenizer->decode({&id, 1}, text);
      } catch (const Error&) {
        decodes = false;
      }
      ASSERT_EQ(tokenizer->has(id), decodes) << tokenizer->kind() << ' ' << id;
    }
  }
}

TEST(TokenizerStore, RoundTrip) {
  const TempDir dir;
  const auto saved = char_tokenizer_from_text("hello \xC3\xA9\n");
  save_tokenizer(*saved, dir.path());
  const auto opened = open_tokenizer(dir.path());
  EXPECT_EQ(opened->digest(), saved->digest());
  EXPECT_EQ(opened->description(), saved->description());
  EXPECT_EQ(encode(*opened, "oh \xC3\xA9"), encode(*saved, "oh \xC3\xA9"));

  save_tokenizer(*load_tokenizer({.kind = "byte", .vocab = {}, .merges = {}, .ranks = {}}),
                 dir.path());
  EXPECT_EQ(open_tokenizer(dir.path())->kind(), "byte");
}

TEST(TokenizerStore, RefusesAChangedFile) {
  const TempDir dir;
  save_tokenizer(*char_tokenizer_from_text("abc"), dir.path());
  dir.file("characters.txt", "abd");
  EXPECT_THAT(message_of([&] { open_tokenizer(dir.path()); }, ErrorKind::input),
              HasSubstr("a file was changed or damaged"));
}

TEST(TokenizerStore, RefusesADamagedIndex) {
  const TempDir dir;
  EXPECT_THAT(message_of([&] { open_tokenizer(dir.path()); }, ErrorKind::input),
              HasSubstr("No such file"));
  for (const char* text :
       {"{", "[]", "{}", "{\"format\":1}", "{\"format\":\"other\"}",
        "{\"format\":\"weft-tokenizer\"}", "{\"format\":\"weft-tokenizer\",\"version\":2}",
        "{\"format\":\"weft-tokenizer\",\"version\":1,\"digest\":\"\"}"}) {
    dir.file("tokenizer.json", text);
    EXPECT_THAT(message_of([&] { open_tokenizer(dir.path()); }, ErrorKind::input),
                HasSubstr("tokenizer.json"))
        << text;
  }
}

TEST(LoadTokenizer, SaysWhatIsWrongWithASpec) {
  EXPECT_THAT(message_of(
                  [] {
                    load_tokenizer({"word", "", "", ""});
                  },
                  ErrorKind::usage),
              HasSubstr("unknown tokenizer 'word'"));
  EXPECT_THAT(message_of(
                  [] {
                    load_tokenizer({"char", "", "", ""});
                  },
                  ErrorKind::usage),
              HasSubstr("needs the path 'vocab'"));
  const TempDir dir;
  EXPECT_THAT(message_of(
                  [&] {
                    load_tokenizer({"char", dir.path(), "", ""});
                  },
                  ErrorKind::input),
              HasSubstr("is a directory"));
  const auto empty = dir.file("empty.txt", "");
  EXPECT_THAT(message_of(
                  [&] {
                    load_tokenizer({"char", empty, "", ""});
                  },
                  ErrorKind::input),
              HasSubstr("is empty"));
  const auto latin1 = dir.file("latin1.txt", "caf\xE9");
  EXPECT_THAT(message_of(
                  [&] {
                    load_tokenizer({"char", latin1, "", ""});
                  },
                  ErrorKind::input),
              HasSubstr("latin1.txt: not UTF-8: byte 0xe9 at offset 3 (line 1)"));
}

TEST(LoadTokenizer, SaysThatAFileMayNotBeRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read every file";
  const TempDir dir;
  const auto path = dir.file("secret.txt", "abc");
  std::filesystem::permissions(path, std::filesystem::perms::none);
  EXPECT_THAT(message_of([&] {
                load_tokenizer({"char", path, "", ""});
              }),
              HasSubstr("Permission denied; check its permissions"));
}

}  // namespace
}  // namespace weft
