// The commands tokenize and detokenize as a user types them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "core/base/error.h"
#include "data/tokenizer/tokenizer.h"
#include "launch/commands/commands.h"

namespace weft {
namespace {

class TokenizeCommand : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + std::to_string(::getpid()) + "-tokenize-" +
           testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ + "/" + name, std::ios::binary) << text;
    return dir_ + "/" + name;
  }
  // Standard output of `weft ARGUMENTS...`.
  static std::string run(std::vector<std::string> arguments) {
    int exit_code = 0;
    CommandLine line("weft", "test", "0");
    add_tokenize_command(line.root(), exit_code);
    add_detokenize_command(line.root(), exit_code);
    testing::internal::CaptureStdout();
    try {
      line.parse(arguments);
    } catch (...) {
      testing::internal::GetCapturedStdout();
      throw;
    }
    EXPECT_EQ(exit_code, 0);
    return testing::internal::GetCapturedStdout();
  }

  std::string dir_;
};

TEST_F(TokenizeCommand, CharactersThereAndBack) {
  const auto vocab = file("vocab.txt", "hello world\n");
  const auto input = file("in.txt", "low\nroll");
  const std::vector<std::string> which = {"--tokenizer", "char", "--text-for-vocab", vocab};
  auto there = which, back = which;
  there.insert(there.begin(), {"tokenize", input});
  EXPECT_EQ(run(there), "5 6 8 0 7 6 5 5\n");
  back.insert(back.begin(), {"detokenize", file("ids.txt", run(there))});
  EXPECT_EQ(run(back), "low\nroll");
}

TEST_F(TokenizeCommand, JsonlWithATokenizerFromADirectory) {
  save_tokenizer(*char_tokenizer_from_text("abc"), dir_);
  const auto text = file("in.jsonl", "{\"text\":\"cab\"}\n{\"text\":\"\"}\n");
  const auto ids = run({"tokenize", "--from", dir_, "--jsonl", text});
  EXPECT_EQ(ids, "{\"ids\":[2,0,1]}\n{\"ids\":[]}\n");
  EXPECT_EQ(run({"detokenize", "--from", dir_, "--jsonl", file("ids.jsonl", ids)}),
            "{\"text\":\"cab\"}\n{\"text\":\"\"}\n");
}

TEST_F(TokenizeCommand, OutputLargerThanItsBuffer) {
  const std::string text(2'000'000, 'a');
  const auto ids = run({"tokenize", "--tokenizer", "byte", file("in.txt", text)});
  EXPECT_EQ(ids.size(), 3 * text.size());
  EXPECT_EQ(run({"detokenize", "--tokenizer", "byte", file("ids.txt", ids)}), text);
}

TEST_F(TokenizeCommand, RefusesWhatMakesNoSense) {
  const auto input = file("in.txt", "a");
  EXPECT_THROW(run({"tokenize", input}), Error);
  EXPECT_THROW(run({"tokenize", "--tokenizer", "byte", "--text-for-vocab", input, input}), Error);
  EXPECT_THROW(run({"tokenize", "--tokenizer", "byte", dir_}), Error);
  EXPECT_THROW(run({"tokenize", "--tokenizer", "byte", dir_ + "/absent"}), Error);
  EXPECT_THROW(run({"tokenize", "--tokenizer", "byte", "--from", dir_, input}), Error);
  EXPECT_THROW(run({"detokenize", "--tokenizer", "byte", input}), Error);
}

}  // namespace
}  // namespace weft
