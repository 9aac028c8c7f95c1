// The hand-written splitters against PCRE2 running the published patterns.
//
// Known differences, left out: U+180E, which PCRE2 counts as \s and Unicode (since 6.3) does not,
// and characters that one of the two Unicode versions has not assigned yet.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "data/tokenizer/splitter.h"

#include <gtest/gtest.h>
#include <pcre2.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "data/tokenizer/unicode.h"
#include "data/tokenizer/utf8.h"

namespace weft {
namespace {

constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kCl100k =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+)"
    R"(|\s++\z|\s*[\r\n]|\s+(?!\S)|\s)";

class Regex {
 public:
  explicit Regex(const char* pattern) {
    int error = 0;
    size_t at = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern), PCRE2_ZERO_TERMINATED,
                              PCRE2_UTF | PCRE2_UCP, &error, &at, nullptr));
    WEFT_CHECK(code_, "pattern {}: error {} at {}", pattern, error, at);
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);
    data_.reset(pcre2_match_data_create(1, nullptr));
  }
  // The end of the match that starts at `pos`; `pos` where there is none.
  size_t match_end(std::string_view text, size_t pos) const {
    const int found =
        pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), pos,
                    PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, data_.get(), nullptr);
    return found < 0 ? pos : pcre2_get_ovector_pointer(data_.get())[1];
  }
  bool matches(std::string_view text) const { return match_end(text, 0) == text.size(); }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_data, Free> data_;
};

// Empty where both split `text` alike, otherwise the first piece that differs.
std::string difference(SplitPattern pattern, const Regex& regex, std::string_view text) {
  for (size_t pos = 0; pos < text.size();) {
    const size_t ours = piece_end(pattern, text, pos), theirs = regex.match_end(text, pos);
    if (ours != theirs) {
      return testing::PrintToString(std::string(text)) + " from byte " + std::to_string(pos) +
             ": ours ends at " + std::to_string(ours) + ", PCRE2's at " + std::to_string(theirs);
    }
    pos = ours;
  }
  return "";
}

std::string utf8(char32_t cp) {
  std::string bytes;
  append_utf8(cp, bytes);
  return bytes;
}

std::string pcre2_unicode_version() {
  char version[32] = {};
  pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version);
  return version;
}

bool is_code_point(char32_t cp) { return cp < 0xD800 || (cp >= 0xE000 && cp < 0x110000); }

class Splitter : public testing::Test {
 protected:
  static CharClass class_by_pcre2(std::string_view bytes) {
    static const Regex letter(R"(\p{L})"), number(R"(\p{N})"), space(R"(\s)");
    if (letter.matches(bytes)) return CharClass::letter;
    if (number.matches(bytes)) return CharClass::number;
    return space.matches(bytes) ? CharClass::space : CharClass::other;
  }
};

TEST_F(Splitter, ClassesDifferFromPcre2OnlyWhereKnown) {
  const Regex unassigned(R"(\p{Cn})");
  const bool newer = std::stod(pcre2_unicode_version()) > std::stod(unicode_table::kVersion);
  int differing = 0;
  for (char32_t cp = 0; cp < 0x110000; ++cp) {
    if (!is_code_point(cp)) continue;
    const std::string bytes = utf8(cp);
    if (class_by_pcre2(bytes) == char_class(cp)) continue;
    ++differing;
    if (cp == 0x180E) {
      EXPECT_EQ(char_class(cp), CharClass::other);
    } else {
      EXPECT_TRUE(newer ? char_class(cp) == CharClass::other : unassigned.matches(bytes))
          << code_point_name(cp);
    }
  }
  RecordProperty("pcre2_unicode", pcre2_unicode_version());
  RecordProperty("differing", differing);
  EXPECT_GE(differing, 1);
}

// Beyond the table every character is of class other: a sample is enough.
TEST_F(Splitter, EveryCodePointInEveryContextLikePcre2) {
  const Regex gpt2(kGpt2), cl100k(kCl100k);
  int tried = 0;
  for (char32_t cp = 0; cp < 0x110000; cp += cp < unicode_table::kLimit ? 1 : 97) {
    if (!is_code_point(cp) || class_by_pcre2(utf8(cp)) != char_class(cp)) continue;
    const std::string x = utf8(cp);
    for (const std::string& text :
         {x, " " + x, "'" + x, "1" + x, x + "a", "'" + x + "e", " \n" + x, x + " \n "}) {
      ASSERT_EQ(difference(SplitPattern::gpt2, gpt2, text), "") << code_point_name(cp);
      ASSERT_EQ(difference(SplitPattern::cl100k, cl100k, text), "") << code_point_name(cp);
      ++tried;
    }
  }
  EXPECT_GT(tried, 2'000'000);
}

std::string random_text(std::mt19937& random, size_t longest) {
  static const std::vector<std::string> kPieces = {" ",
                                                   "  ",
                                                   "\n",
                                                   "\r\n",
                                                   "\t",
                                                   "a",
                                                   "Zed",
                                                   "'",
                                                   "'s",
                                                   "'LL",
                                                   "'Re",
                                                   "'ve",
                                                   "1",
                                                   "1234",
                                                   ".",
                                                   "!?",
                                                   "<|",
                                                   "\xC2\x85",
                                                   "\xC2\xA0",
                                                   "\xE3\x80\x80",
                                                   "\xC5\xBF",
                                                   "\xC3\xA9",
                                                   "e\xCC\x81",
                                                   "\xC2\xBD",
                                                   "\xE2\x85\xB7",
                                                   "\xE4\xB8\xAD",
                                                   "\xF0\x9F\x98\x80",
                                                   "\xE2\x80\x8D",
                                                   "\v",
                                                   "\xEF\xBB\xBF"};
  std::string text;
  for (size_t n = random() % longest; n > 0; --n) text += kPieces[random() % kPieces.size()];
  return text;
}

TEST_F(Splitter, RandomTextsLikePcre2) {
  const Regex gpt2(kGpt2), cl100k(kCl100k);
  std::mt19937 random(1);
  for (int i = 0; i < 200'000; ++i) {
    const std::string text = random_text(random, 12);
    ASSERT_EQ(difference(SplitPattern::gpt2, gpt2, text), "");
    ASSERT_EQ(difference(SplitPattern::cl100k, cl100k, text), "");
  }
}

std::vector<std::string> pieces(SplitPattern pattern, std::string_view text) {
  std::vector<std::string> all;
  for (size_t pos = 0; pos < text.size();) {
    const size_t end = piece_end(pattern, text, pos);
    all.emplace_back(text.substr(pos, end - pos));
    pos = end;
  }
  return all;
}

// The cut of a window gives the pieces of the whole, whatever follows the window.
TEST_F(Splitter, SafeCutsChangeNoPiece) {
  std::mt19937 random(2);
  for (const auto pattern : {SplitPattern::gpt2, SplitPattern::cl100k}) {
    int cuts = 0;
    for (int i = 0; i < 200'000; ++i) {
      const std::string text = random_text(random, 16);
      const std::string_view window =
          std::string_view(text).substr(0, random() % (text.size() + 1));
      const size_t cut = safe_cut(pattern, window);
      if (cut == 0) continue;
      ++cuts;
      auto parts = pieces(pattern, std::string_view(text).substr(0, cut));
      const auto rest = pieces(pattern, std::string_view(text).substr(cut));
      parts.insert(parts.end(), rest.begin(), rest.end());
      ASSERT_EQ(parts, pieces(pattern, text)) << testing::PrintToString(text) << " at " << cut;
    }
    EXPECT_GT(cuts, 10'000);
  }
}

TEST_F(Splitter, LinesOfAnyLengthAreCut) {
  std::string line;
  while (line.size() < 1000) line += "some words, ";
  for (const auto pattern : {SplitPattern::gpt2, SplitPattern::cl100k}) {
    EXPECT_GT(safe_cut(pattern, line), line.size() - 20);
  }
}

TEST_F(Splitter, BytesThatAreNotUtf8LandInPieces) {
  std::mt19937 random(3);
  for (int i = 0; i < 100'000; ++i) {
    std::string text;
    for (size_t n = random() % 12; n > 0; --n) text += static_cast<char>(random());
    for (const auto pattern : {SplitPattern::gpt2, SplitPattern::cl100k}) {
      std::string joined;
      for (const std::string& piece : pieces(pattern, text)) {
        ASSERT_FALSE(piece.empty());
        joined += piece;
      }
      ASSERT_EQ(joined, text);
    }
  }
}

}  // namespace
}  // namespace weft
