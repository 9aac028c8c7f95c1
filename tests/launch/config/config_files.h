// A directory of small configuration files that goes away with the test.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "launch/config/load.h"

namespace weft {

class ConfigFiles : public ::testing::Test {
 protected:
  ConfigFiles() { std::filesystem::create_directories(directory_); }
  ~ConfigFiles() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }

  std::string path(std::string_view name) const { return (directory_ / name).string(); }

  // Writes `text` to the file `name` and returns its path.
  std::string write(std::string_view name, std::string_view text) const {
    std::filesystem::create_directories((directory_ / name).parent_path());
    std::ofstream file(directory_ / name, std::ios::binary);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    return path(name);
  }

  // What load_config says about `file`, with the directory left out; empty if it is accepted.
  std::string refusal(const std::string& file, std::span<const std::string> sets = {},
                      std::optional<int64_t> world_size = std::nullopt) const {
    try {
      load_config(file, sets, world_size);
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::config);
      return without_directory(error.what());
    }
  }
  std::string refusal_of(std::string_view text) const { return refusal(write("c.yaml", text)); }

 private:
  std::string without_directory(std::string message) const {
    const std::string prefix = directory_.string() + "/";
    for (size_t at; (at = message.find(prefix)) != std::string::npos;) {
      message.erase(at, prefix.size());
    }
    return message;
  }

  static std::string unique_name() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::to_string(getpid());
    for (const char* part : {test->test_suite_name(), test->name()}) name.append("-").append(part);
    for (char& c : name) {
      if (c == '/') c = '_';
    }
    return name;
  }

  std::filesystem::path directory_ = std::filesystem::path(::testing::TempDir()) / unique_name();
};

}  // namespace weft
