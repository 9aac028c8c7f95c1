#include "launch/config/path_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>

namespace weft {
namespace {

using ::testing::HasSubstr;

const char* get(const char* name) {
  const std::string_view key(name);
  if (key == "HOME") return "/home/a$b";
  if (key == "DATA") return "/data";
  if (key == "TILDE") return "~/x";
  return key == "EMPTY" ? "" : nullptr;
}

std::string path_of(const std::string& text) {
  const PathText result = expand_path(text, get);
  EXPECT_EQ(result.problem, "") << text;
  return result.path;
}

std::string problem_of(const std::string& text) { return expand_path(text, get).problem; }

TEST(PathText, HomeAndVariables) {
  EXPECT_EQ(path_of("runs"), "runs");
  EXPECT_EQ(path_of("~"), "/home/a$b");
  EXPECT_EQ(path_of("~/runs"), "/home/a$b/runs");
  EXPECT_EQ(path_of("a/~/b~"), "a/~/b~");
  EXPECT_EQ(path_of("./~x"), "./~x");
  EXPECT_EQ(path_of("$DATA/x"), "/data/x");
  EXPECT_EQ(path_of("${DATA}x/$DATA"), "/datax//data");
  EXPECT_EQ(path_of("~/$DATA"), "/home/a$b//data");
  EXPECT_EQ(path_of("a$$DATA"), "a$DATA");
  EXPECT_EQ(path_of("a$/b$"), "a$/b$");
}

TEST(PathText, WhatCannotBeLookedUpIsSaid) {
  EXPECT_THAT(problem_of("~other/x"), HasSubstr("~other"));
  EXPECT_THAT(problem_of("$NONE/x"), HasSubstr("NONE"));
  EXPECT_THAT(problem_of("$EMPTY/x"), HasSubstr("EMPTY"));
  EXPECT_THAT(problem_of("$DATAX"), HasSubstr("DATAX"));
  EXPECT_THAT(problem_of("${DATA"), HasSubstr("${"));
  EXPECT_THAT(problem_of("${}"), HasSubstr("${"));
  EXPECT_THAT(problem_of("$TILDE"), HasSubstr("~/x"));
  const auto none = [](const char*) -> const char* { return nullptr; };
  EXPECT_THAT(expand_home("~/x", none).problem, HasSubstr("HOME"));
}

TEST(PathText, OptionsKeepTheirDollars) {
  EXPECT_EQ(expand_home("~/a$DATA", get).path, "/home/a$b/a$DATA");
  EXPECT_EQ(expand_home("a$DATA", get).path, "a$DATA");
}

TEST(PathText, EscapedPathsReadBack) {
  for (const char* path : {"/home/a$b", "$", "$$x", "${DATA}", "plain"}) {
    EXPECT_EQ(path_of(escape_path(path)), path);
  }
}

}  // namespace
}  // namespace weft
