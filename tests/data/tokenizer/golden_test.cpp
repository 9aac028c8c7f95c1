// The published vocabularies against recorded outputs of the reference tokenizers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/data/tokenizer/fixture.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Golden : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!have_vocabularies()) return;
    gpt2_ = load_tokenizer(gpt2_spec());
    cl100k_ = load_tokenizer(cl100k_spec());
  }
  static void TearDownTestSuite() {
    gpt2_.reset();
    cl100k_.reset();
  }
  void SetUp() override {
    if (!have_vocabularies()) GTEST_SKIP() << "no vocabularies in " << WEFT_SHARED_DATA;
  }

  static std::string text(std::string_view name) {
    return slurp(shared_data("text/" + std::string(name)));
  }
  // r50k as a rank file, written from the GPT-2 vocabulary: its ids are its ranks.
  static std::unique_ptr<Tokenizer> r50k(const TempDir& dir) {
    std::string file;
    for (TokenId id = 0; id < 50256; ++id) {
      file += base64(decode(*gpt2_, {id})) + " " + std::to_string(id) + "\n";
    }
    return load_tokenizer({"r50k", "", "", dir.file("r50k.tiktoken", file)});
  }
  static std::string base64(std::string_view bytes) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string bits, out;
    for (const char c : bytes) {
      for (int b = 7; b >= 0; --b) bits += (static_cast<uint8_t>(c) >> b & 1) != 0 ? '1' : '0';
    }
    while (bits.size() % 6 != 0) bits += '0';
    for (size_t i = 0; i < bits.size(); i += 6)
      out += kDigits[std::stoul(bits.substr(i, 6), nullptr, 2)];
    while (out.size() % 4 != 0) out += '=';
    return out;
  }

  static std::unique_ptr<Tokenizer> gpt2_, cl100k_;
};
std::unique_ptr<Tokenizer> Golden::gpt2_, Golden::cl100k_;

TEST_F(Golden, EveryRecordedLineIsTheSameIdForId) {
  const TempDir dir;
  const auto ranks = r50k(dir);
  std::ifstream lines(shared_data("golden/tokenizer.jsonl"));
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto record = nlohmann::json::parse(line);
    const auto text = record["text"].get<std::string>();
    const auto gpt2 = record["gpt2"].get<std::vector<TokenId>>();
    const auto cl100k = record["cl100k"].get<std::vector<TokenId>>();
    EXPECT_EQ(encode(*gpt2_, text), gpt2) << line;
    EXPECT_EQ(encode(*ranks, text), gpt2) << line;
    EXPECT_EQ(encode(*cl100k_, text), cl100k) << line;
    EXPECT_EQ(decode(*gpt2_, gpt2), text);
    EXPECT_EQ(decode(*ranks, gpt2), text);
    EXPECT_EQ(decode(*cl100k_, cl100k), text);
  }
  EXPECT_GE(count, 300);
}

TEST_F(Golden, SpecialTokensOnlyWhereAskedFor) {
  const std::string text =
      "Hello, do you like tea? <|endoftext|> In the sunlit terraces of someunknownPlace.";
  EXPECT_THAT(encode(*gpt2_, text, true),
              ElementsAre(15496, 11, 466, 345, 588, 8887, 30, 220, 50256, 554, 262, 4252, 18250,
                          8812, 2114, 286, 617, 34680, 27271, 13));
  EXPECT_EQ(decode(*gpt2_, encode(*gpt2_, text, true)), text);
  EXPECT_THAT(encode(*gpt2_, "<|endoftext|>"), ElementsAre(27, 91, 437, 1659, 5239, 91, 29));
  EXPECT_THAT(encode(*gpt2_, "<|endoftext|><|endoftext|>a", true), ElementsAre(50256, 50256, 64));
  EXPECT_THAT(encode(*gpt2_, "<|<|endoftext|><|endoftext", true),
              ElementsAre(27, 91, 50256, 27, 91, 437, 1659, 5239));
}

TEST_F(Golden, SpecialTokensOfCl100k) {
  EXPECT_THAT(
      encode(*cl100k_, "<|endoftext|><|fim_prefix|>a<|fim_middle|><|fim_suffix|><|endofprompt|>",
             true),
      ElementsAre(100257, 100258, 64, 100259, 100260, 100276));
  EXPECT_EQ(decode(*cl100k_, {100257, 100260, 100276}),
            "<|endoftext|><|fim_suffix|><|endofprompt|>");
  EXPECT_EQ(cl100k_->vocab_size(), 100277);
  EXPECT_EQ(cl100k_->end_of_text(), 100257);
  EXPECT_THAT(message_of([] { decode(*cl100k_, {100256}); }), HasSubstr("unused"));
  EXPECT_THROW(decode(*cl100k_, {100277}), Error);
}

TEST_F(Golden, WholeBooks) {
  const std::string sales = text("sales_textbook.txt"), plays = text("tinyshakespeare.txt");
  EXPECT_EQ(encode(*cl100k_, sales).size(), 77919u);
  EXPECT_EQ(encode(*gpt2_, sales).size(), 79932u);
  EXPECT_EQ(encode(*gpt2_, plays).size(), 338025u);
  EXPECT_EQ(decode(*cl100k_, encode(*cl100k_, sales)), sales);
  EXPECT_EQ(decode(*gpt2_, encode(*gpt2_, plays)), plays);
}

TEST_F(Golden, MergesAndRanksAgreeOnABook) {
  const TempDir dir;
  const auto ranks = r50k(dir);
  const std::string plays = text("tinyshakespeare.txt");
  EXPECT_EQ(encode(*ranks, plays), encode(*gpt2_, plays));
  EXPECT_EQ(ranks->vocab_size(), 50257);
  EXPECT_EQ(ranks->end_of_text(), 50256);
}

TEST_F(Golden, EncodingInPartsIsTheSame) {
  const std::string plays = text("tinyshakespeare.txt");
  for (const Tokenizer* tokenizer : {gpt2_.get(), cl100k_.get()}) {
    std::vector<TokenId> ids;
    size_t parts = 0;
    for (size_t pos = 0; pos < plays.size(); ++parts) {
      const std::string_view window = std::string_view(plays).substr(pos, 5000);
      const bool last = pos + window.size() == plays.size();
      const size_t cut = last ? window.size() : tokenizer->safe_cut(window);
      ASSERT_GT(cut, 0u) << "at " << pos;
      tokenizer->encode(window.substr(0, cut), true, ids);
      pos += cut;
    }
    EXPECT_GT(parts, 200u);
    EXPECT_EQ(ids, encode(*tokenizer, plays, true));
  }
}

// A special token ends the text before it, so that white space splits otherwise than elsewhere.
TEST_F(Golden, PartsKeepWhatSpecialTokensDoToWhiteSpace) {
  const std::string text = "x\n\n<|endoftext|>\n\ny\n \n<|endoftext|>z.\n\n<|endoftext|>\n w";
  for (const Tokenizer* tokenizer : {gpt2_.get(), cl100k_.get()}) {
    for (size_t size = 1; size <= text.size(); ++size) {
      const size_t cut = tokenizer->safe_cut(std::string_view(text).substr(0, size));
      auto ids = encode(*tokenizer, text.substr(0, cut), true);
      tokenizer->encode(text.substr(cut), true, ids);
      EXPECT_EQ(ids, encode(*tokenizer, text, true)) << size << " cut at " << cut;
    }
  }
}

// A run without a word boundary must not take time quadratic in its length: 8 MB would then take
// hours instead of seconds.
TEST_F(Golden, LongRunsOfOneKind) {
  for (const std::string_view unit : {"a", " ", "ab", "\xE4\xB8\xAD"}) {
    std::string run;
    while (run.size() < 1'000'000) run += unit;
    for (const Tokenizer* tokenizer : {gpt2_.get(), cl100k_.get()}) {
      const auto ids = encode(*tokenizer, run);
      EXPECT_EQ(decode(*tokenizer, ids), run) << unit;
      EXPECT_LE(ids.size(), run.size());
    }
  }
  const std::string letters(1'000'000, 'a');
  const auto ids = encode(*gpt2_, letters);
  const auto few = encode(*gpt2_, letters.substr(0, 64));  // short enough for the scanning loop
  ASSERT_EQ(letters.size() % 64, 0u);
  ASSERT_EQ(ids.size(), few.size() * (letters.size() / 64));
  for (size_t i = 0; i < ids.size(); ++i) ASSERT_EQ(ids[i], few[i % few.size()]) << i;
}

TEST_F(Golden, SavedAndOpened) {
  const TempDir dir;
  for (const Tokenizer* tokenizer : {gpt2_.get(), cl100k_.get()}) {
    save_tokenizer(*tokenizer, dir.path());
    const auto opened = open_tokenizer(dir.path());
    EXPECT_EQ(opened->digest(), tokenizer->digest());
    EXPECT_EQ(opened->description(), tokenizer->description());
    EXPECT_EQ(encode(*opened, "It's <|endoftext|>!", true),
              encode(*tokenizer, "It's <|endoftext|>!", true));
  }
  EXPECT_NE(gpt2_->digest(), cl100k_->digest());
  EXPECT_EQ(gpt2_->description(), "gpt2 BPE, 50257 tokens");

  std::string merges = slurp(shared_data("gpt2/merges.txt"));
  EXPECT_EQ(gpt2_->files().at(1).bytes, merges);
  save_tokenizer(*gpt2_, dir.path());
  std::swap(merges[16], merges[22]);  // "h e" and "i n" become "i e" and "h n"
  EXPECT_THROW((dir.file("merges.txt", merges), open_tokenizer(dir.path())), Error);
}

TEST_F(Golden, PublishedFilesCutShortAreRefused) {
  const TempDir dir;
  const std::string vocab = slurp(shared_data("gpt2/vocab.json"));
  const std::string merges = slurp(shared_data("gpt2/merges.txt"));
  const std::string ranks = slurp(shared_data("cl100k/cl100k_base.tiktoken"));
  const auto refused = [&](std::string_view v, std::string_view m) {
    return message_of([&] {
      load_tokenizer({"gpt2", dir.file("vocab.json", v), dir.file("merges.txt", m), ""});
    });
  };
  EXPECT_THAT(refused(vocab.substr(0, 5000), merges), HasSubstr("not JSON at byte"));
  EXPECT_THAT(refused(vocab, merges.substr(0, 5000)), HasSubstr("merges.txt"));
  EXPECT_THAT(refused(vocab, merges.substr(0, merges.rfind('\n', merges.size() - 2) + 1)),
              HasSubstr("50257 tokens"));
  for (const size_t cut : {ranks.size() - 1 - 6, ranks.size() - 3, ranks.size() / 2}) {
    const auto path = dir.file("ranks", ranks.substr(0, cut));
    EXPECT_THAT(message_of([&] { load_tokenizer({"cl100k", "", "", path}); }), HasSubstr("ranks"));
  }
  EXPECT_THAT(message_of([&] {
                load_tokenizer({"r50k", "", "", cl100k_spec().ranks});
              }),
              HasSubstr("100256 ranks, r50k has 50256"));
}

}  // namespace
}  // namespace weft
