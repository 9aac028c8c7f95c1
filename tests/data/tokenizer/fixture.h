// What the tokenizer tests share: whole calls as values, messages of errors, temporary files and
// the vocabularies that are too large to live here.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "data/tokenizer/tokenizer.h"

namespace weft {

inline std::vector<TokenId> encode(const Tokenizer& tokenizer, std::string_view text,
                                   bool specials = false) {
  std::vector<TokenId> ids;
  tokenizer.encode(text, specials, ids);
  return ids;
}

inline std::string decode(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  std::string text;
  tokenizer.decode(ids, text);
  return text;
}

// The message of the Error that f throws, which must be one line and of this kind.
template <typename F>
std::string message_of(F&& f, ErrorKind kind = ErrorKind::input) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.what();
    EXPECT_EQ(std::string_view(e.what()).find('\n'), std::string_view::npos) << e.what();
    return e.what();
  }
  return "nothing thrown";
}

inline std::string shared_data(std::string_view name) {
  return std::string(WEFT_SHARED_DATA) + "/" + std::string(name);
}

// True where the published vocabularies are at hand.
inline bool have_vocabularies() {
  return std::filesystem::exists(shared_data("gpt2/vocab.json")) &&
         std::filesystem::exists(shared_data("cl100k/cl100k_base.tiktoken"));
}

inline TokenizerSpec gpt2_spec() {
  return {"gpt2", shared_data("gpt2/vocab.json"), shared_data("gpt2/merges.txt"), ""};
}
inline TokenizerSpec cl100k_spec() {
  return {"cl100k", "", "", shared_data("cl100k/cl100k_base.tiktoken")};
}

// A directory of its own for each test, removed with everything in it.
class TempDir {
 public:
  TempDir() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(testing::TempDir()) /
            (std::to_string(::getpid()) + "-" + test->test_suite_name() + "-" + test->name());
    std::filesystem::create_directories(path_);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string path() const { return path_.string(); }
  // The path of a new file with these bytes.
  std::string file(std::string_view name, std::string_view bytes) const {
    const auto path = path_ / name;
    std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
    return path.string();
  }

 private:
  std::filesystem::path path_;
};

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace weft
