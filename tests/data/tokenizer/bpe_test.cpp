// The merge loops on small tables, and the strict readers of BPE files.
#include "data/tokenizer/bpe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <set>

#include "data/tokenizer/bpe_tokenizer.h"
#include "tests/data/tokenizer/fixture.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<TokenId> merged(const MergeTable& table, std::vector<TokenId> ids,
                            decltype(merge_all)* merge) {
  MergeScratch scratch;
  ids.resize(merge(table, ids, scratch));
  return ids;
}

TEST(Merge, SmallestRankFirstThenLeftmost) {
  MergeTable table(3);
  EXPECT_TRUE(table.insert(1, 1, 0, 10));   // 1 1 -> 10
  EXPECT_TRUE(table.insert(10, 2, 1, 11));  // 10 2 -> 11
  EXPECT_TRUE(table.insert(1, 2, 2, 12));
  EXPECT_FALSE(table.insert(1, 2, 3, 13));
  EXPECT_EQ(table.rank(1, 2), 2);
  EXPECT_EQ(table.rank(2, 1), MergeTable::kNoRank);
  for (auto* merge : {merge_by_scan, merge_by_heap}) {
    EXPECT_THAT(merged(table, {1, 1, 1, 2}, merge), ElementsAre(10, 12));
    EXPECT_THAT(merged(table, {1, 1, 2, 2}, merge), ElementsAre(11, 2));
    EXPECT_THAT(merged(table, {2}, merge), ElementsAre(2));
    EXPECT_THAT(merged(table, {}, merge), ElementsAre());
  }
}

// Random tables over few tokens merge deeply and tie often.
TEST(Merge, BothLoopsAgreeOnRandomTables) {
  std::mt19937 random(4);
  for (int round = 0; round < 2000; ++round) {
    const TokenId letters = 1 + static_cast<TokenId>(random() % 4);
    MergeTable table(64);
    for (int32_t rank = 0; rank < 40; ++rank) {
      const TokenId product = letters + rank;
      table.insert(static_cast<TokenId>(random() % product),
                   static_cast<TokenId>(random() % product), rank, product);
    }
    std::vector<TokenId> ids(random() % 300);
    for (TokenId& id : ids) id = static_cast<TokenId>(random() % letters);
    ASSERT_EQ(merged(table, ids, merge_by_scan), merged(table, ids, merge_by_heap)) << round;
  }
}

// {"...": 0, ...} with the 256 bytes, all or the first few, and then these tokens.
std::string vocab_json(const std::vector<std::string>& tokens, size_t bytes = 256) {
  std::vector<std::string> all;
  for (size_t b = 0; b < bytes; ++b) all.emplace_back(1, static_cast<char>(b));
  all.insert(all.end(), tokens.begin(), tokens.end());
  return write_gpt2_vocab(TokenMap(all), {});
}

std::string refused(const std::string& vocab, const std::string& merges) {
  return message_of([&] { read_gpt2_files(vocab, "vocab.json", merges, "merges.txt"); });
}

TEST(Gpt2Files, ATokenOutOfReachOfItsBytesIsNotTakenWhole) {
  // "ab" goes first, so the token "abc", which only "a" + "bc" makes, is never made from its bytes.
  const BpeTokenizer tokenizer(read_gpt2_files(vocab_json({"ab", "bc", "abc"}), "v",
                                               "#version: 0.2\na b\nb c\na bc\n", "m"));
  EXPECT_THAT(encode(tokenizer, "abc"), ElementsAre(256, 'c'));
  EXPECT_THAT(encode(tokenizer, "bc ab"), ElementsAre(257, ' ', 256));
  EXPECT_EQ(tokenizer.end_of_text(), std::nullopt);
  EXPECT_EQ(encode(tokenizer, "<|endoftext|>", true), encode(tokenizer, "<|endoftext|>"));
}

TEST(Gpt2Files, SayWhatIsWrongWithTheVocabulary) {
  EXPECT_THAT(refused("", ""), HasSubstr("vocab.json: not JSON"));
  EXPECT_THAT(refused("[1]", ""), HasSubstr("an array"));
  EXPECT_THAT(refused("7", ""), HasSubstr("number outside the object"));
  EXPECT_THAT(refused("{\"a\": {\"b\": 1}}", ""), HasSubstr("an object inside the object"));
  EXPECT_THAT(refused("{\"a\": -1}", ""), HasSubstr("a negative number as the id of \"a\""));
  EXPECT_THAT(refused("{\"a\": 1.5}", ""), HasSubstr("a fraction"));
  EXPECT_THAT(refused("{\"a\": \"b\"}", ""), HasSubstr("a string"));
  EXPECT_THAT(refused("{\"a\": null}", ""), HasSubstr("null"));
  EXPECT_THAT(refused("{\"a\": true}", ""), HasSubstr("a boolean"));
  EXPECT_THAT(refused("{\"a\": 4000000000}", ""), HasSubstr("id 4000000000"));
  EXPECT_THAT(refused("{\"a\": 0, \"b\": 0}", ""), HasSubstr("have the same id 0"));
  EXPECT_THAT(refused("{\"a\": 0, \"a\": 1}", ""), HasSubstr("token \"a\" is there twice"));
  EXPECT_THAT(refused("{\"a\": 0, \"b\": 2}", ""), HasSubstr("id 1 is missing"));
  EXPECT_THAT(refused("{\"\xE4\xB8\xAD\": 0}", ""), HasSubstr("spells no byte"));
  EXPECT_THAT(refused("{\"\xFF\": 0}", ""), HasSubstr("not UTF-8"));
  EXPECT_THAT(refused(vocab_json({}, 255), ""), HasSubstr("no token for the byte 0xff"));
}

TEST(Gpt2Files, SayWhatIsWrongWithTheMerges) {
  const std::string vocab = vocab_json({"ab", "<|endoftext|>"});
  EXPECT_EQ(refused(vocab, "#version: 0.2\na b\n"), "nothing thrown");
  EXPECT_EQ(refused(vocab, "a b\r\n"), "nothing thrown");
  EXPECT_THAT(refused(vocab, "a b\nab c\n"), HasSubstr("merges.txt:2: token \"abc\" is not in"));
  EXPECT_THAT(refused(vocab, "a\xE4\xB8\xAD b\n"), HasSubstr("merges.txt:1: token"));
  EXPECT_THAT(refused(vocab, "ab\n"), HasSubstr("\"ab\" is not a merge"));
  EXPECT_THAT(refused(vocab, "a b c\n"), HasSubstr("is not a merge"));
  EXPECT_THAT(refused(vocab, "a b\n\n"), HasSubstr("merges.txt:2: \"\" is not a merge"));
  EXPECT_THAT(refused(vocab, "a b\na b\n"), HasSubstr("the merge \"a b\" is there twice"));
  EXPECT_THAT(refused(vocab, ""), HasSubstr("vocab.json has 258 tokens, but merges.txt accounts "
                                            "for 257: 256 bytes, 0 merges and 1 special"));
}

TEST(RankFiles, SayWhatIsWrong) {
  const auto bad = [](std::string_view text) {
    return message_of([&] { parse_ranks(text, "ranks"); });
  };
  EXPECT_THAT(bad("IQ==\n"), HasSubstr("ranks:1: not 'base64 rank'"));
  EXPECT_THAT(bad(""), HasSubstr("ranks:1: not 'base64 rank'"));
  EXPECT_THAT(bad("IQ= 0\n"), HasSubstr("ranks:1: \"IQ=\" is not base64"));
  EXPECT_THAT(bad("I$== 0\n"), HasSubstr("not base64"));
  EXPECT_THAT(bad("IR== 0\n"), HasSubstr("not base64"));  // stray bits
  EXPECT_THAT(bad("IQ===Q== 0\n"), HasSubstr("not base64"));
  EXPECT_THAT(bad(" 0\n"), HasSubstr("not base64"));
  EXPECT_THAT(bad("IQ== \n"), HasSubstr("\"\" is not a rank"));
  EXPECT_THAT(bad("IQ== -1\n"), HasSubstr("is not a rank"));
  EXPECT_THAT(bad("IQ== 0x\n"), HasSubstr("is not a rank"));
  EXPECT_THAT(bad("IQ== 99999999999999999999\n"), HasSubstr("is not a rank"));
  EXPECT_THAT(bad("IQ== 1\n"), HasSubstr("rank 1 in a file of 1 lines"));
  EXPECT_THAT(bad("IQ== 0\nIg== 0\n"), HasSubstr("ranks:2: rank 0 is there twice"));
  EXPECT_THAT(bad("IQ== 0\nIQ== 1\n"), HasSubstr("token IQ== is there twice"));
  EXPECT_THAT(bad("IQ== 0\nIg== 1\n"), HasSubstr("no token for the byte 0x00"));
}

TEST(RankFiles, WrittenAndReadBack) {
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(255 - b));
  for (const char* token : {"ab", "abc", "hello world"}) tokens.emplace_back(token);
  EXPECT_EQ(parse_ranks(write_rank_file(TokenMap(tokens)), "ranks"), tokens);
}

TEST(RankFiles, TheNumberOfRanksMustFit) {
  std::vector<std::string> tokens;
  for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
  const std::string file = write_rank_file(TokenMap(tokens));
  EXPECT_THAT(message_of([&] { read_rank_file("cl100k", file, "ranks"); }),
              HasSubstr("ranks: 256 ranks, cl100k has 100256"));
}

}  // namespace
}  // namespace weft
