// Files made to hurt: every one is refused or accepted quickly, and nothing else happens.
#include <gmock/gmock.h>

#include <chrono>
#include <random>

#include "tests/launch/config/config_files.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

class Hostile : public ConfigFiles {
 protected:
  void TearDown() override {
    const auto took = std::chrono::steady_clock::now() - start_;
    EXPECT_LT(std::chrono::duration<double>(took).count(), 20.0);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

TEST_F(Hostile, DeepNesting) {
  EXPECT_THAT(refusal_of("model: " + std::string(100'000, '[')), HasSubstr("c.yaml:1:"));
  EXPECT_THAT(refusal_of(std::string(1 << 20, '[')), HasSubstr("c.yaml:1:"));
  std::string braces;
  for (int i = 0; i < 50'000; ++i) braces += "{a: ";
  EXPECT_THAT(refusal_of(braces), HasSubstr("c.yaml:1:"));
  std::string blocks;
  for (int i = 0; i < 400; ++i) blocks += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  EXPECT_EQ(refusal_of(blocks),
            "c.yaml:17:17: nested more than 16 deep, which no configuration is");
  std::string dashes;
  for (int i = 0; i < 20'000; ++i) dashes += "- ";
  EXPECT_THAT(refusal_of(dashes), HasSubstr("c.yaml:1:"));
}

TEST_F(Hostile, BillionLaughs) {
  std::string text = "a: &a [l, l, l, l, l, l, l, l, l]\n";
  for (char c = 'b'; c <= 'i'; ++c) {
    const std::string last(1, static_cast<char>(c - 1));
    text += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) text += "*" + last + (i < 8 ? ", " : "]\n");
  }
  EXPECT_THAT(refusal_of(text), HasSubstr("c.yaml:1:4: an anchor (&name) is not allowed"));
}

TEST_F(Hostile, ACycle) {
  EXPECT_THAT(refusal_of("data:\n  train: &x [*x]\n"),
              HasSubstr("c.yaml:2:10: an anchor (&name) is not allowed"));
}

TEST_F(Hostile, AMillionKeysAndALongScalar) {
  std::string keys;
  while (keys.size() < 1'000'000) keys += "k: 1\n";
  EXPECT_THAT(refusal_of(keys), HasSubstr("duplicate key 'k'"));
  EXPECT_THAT(refusal_of("seed: " + std::string(1'000'000, '1')),
              HasSubstr("...' is out of range"));
  EXPECT_THAT(refusal_of(std::string(1000, 'k') + ": 1\n"), HasSubstr("unknown key 'kkk"));
  EXPECT_THAT(refusal_of("data: {train: [" + std::string(900'000, ',') + "]}"),
              HasSubstr("c.yaml:1:"));
}

TEST_F(Hostile, RandomBytesAndDamagedFilesAreRefusedOrRead) {
  const std::string good = to_yaml(RunConfig());
  constexpr std::string_view kAlphabet = " \n\t:-?[]{},#&*!|>'\"%@`~0aeE.+<=\\/xn\xc3\xa4";
  std::mt19937 random(1);  // NOLINT: the same bytes each time
  const auto below = [&random](size_t n) { return static_cast<size_t>(random() % n); };
  for (int i = 0; i < 1500; ++i) {
    std::string text;
    if (i % 3 == 0) {
      for (size_t n = below(200); n > 0; --n) text += static_cast<char>(below(256));
    } else if (i % 3 == 1) {
      for (size_t n = below(120); n > 0; --n) text += kAlphabet[below(kAlphabet.size())];
    } else {
      text = good;
      for (size_t n = 1 + below(5); n > 0; --n) {
        text[below(text.size())] = kAlphabet[below(kAlphabet.size())];
      }
    }
    refusal_of(text);  // checks that nothing but Error{config} is thrown
  }
}

}  // namespace
}  // namespace weft
