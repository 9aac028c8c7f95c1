#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "launch/commands/commands.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

// Runs `weft ARGUMENTS...` and returns what it prints.
std::string plan_command(const std::string& arguments) {
  CommandLine line("weft", "test", "0");
  int exit_code = 0;
  add_plan_command(line.root(), exit_code);
  std::istringstream words(arguments);
  std::vector<std::string> list;
  for (std::string word; words >> word;) list.push_back(word);
  ::testing::internal::CaptureStdout();
  try {
    line.parse(list);
  } catch (...) {
    ::testing::internal::GetCapturedStdout();
    throw;
  }
  EXPECT_EQ(exit_code, 0);
  return ::testing::internal::GetCapturedStdout();
}

std::string plan_error(const std::string& arguments, ErrorKind kind) {
  try {
    return "no error: " + plan_command(arguments);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind);
    return error.what();
  }
}

// Every "$ weft plan ..." of a page, and the lines below it up to the end of its block.
std::vector<std::pair<std::string, std::string>> examples(const std::string& page) {
  const std::string prompt = "$ weft ";
  std::ifstream in(page);
  std::vector<std::pair<std::string, std::string>> found;
  bool inside = false;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(prompt, 0) == 0) {
      found.emplace_back(line.substr(prompt.size()), "");
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      found.back().second += line + "\n";
    }
  }
  return found;
}

TEST(PlanSchedule, PrintsWhatTheDocumentationShows) {
  const auto shown = examples(WEFT_SOURCE_DIR "/docs/pipeline.md");
  EXPECT_EQ(shown.size(), 6u);
  for (const auto& [command, output] : shown) EXPECT_EQ(plan_command(command), output) << command;
}

TEST(PlanSchedule, WritesTheSvgToo) {
  const std::filesystem::path path =
      std::filesystem::path(::testing::TempDir()) / ("plan-" + std::to_string(getpid()) + ".svg");
  EXPECT_THAT(plan_command("plan schedule --stages 2 --microbatches 4 --svg " + path.string()),
              HasSubstr("1f1b: 2 stages"));
  std::ifstream in(path);
  std::stringstream svg;
  svg << in.rdbuf();
  EXPECT_THAT(svg.str(), HasSubstr("<title>1f1b: 2 stages, 4 micro-batches</title>"));
  std::filesystem::remove(path);
}

TEST(PlanSchedule, TakesCosts) {
  const std::string some = "plan schedule --stages 2 --microbatches 1 --costs ";
  EXPECT_THAT(plan_command(some + "2,1.5,0.5,1"),
              HasSubstr("F forward 2, B backward 2, . idle; a transfer takes 1\n10 time units"));
  EXPECT_THAT(plan_command(some + "2,1,1"), HasSubstr("a transfer takes 0\n8 time units"));
  for (const char* wrong :
       {"1", "1,2", "1,2,3,4,5", "a,b,c", "1,1,1,", ",1,1", "1;1;1", "1,1,1x"}) {
    EXPECT_THAT(plan_error(some + wrong, ErrorKind::usage), HasSubstr("give 3 or 4 numbers"));
  }
  EXPECT_THAT(plan_error(some + "1,-1,1", ErrorKind::config), HasSubstr("cannot cost -1"));
}

TEST(PlanSchedule, RefusesWhatCannotBe) {
  const std::string some = "plan schedule --microbatches 6 ";
  EXPECT_THAT(plan_error(some + "--stages 4 --schedule interleaved --chunks 2", ErrorKind::config),
              HasSubstr("try 4 or 8"));
  EXPECT_THAT(plan_error(some + "--stages 4 --schedule 1fb1", ErrorKind::config),
              HasSubstr("did you mean '1f1b'?"));
  EXPECT_THAT(plan_error(some + "--stages 2 --svg /no/such/directory/x.svg", ErrorKind::io),
              HasSubstr("cannot write /no/such/directory/x.svg"));
  EXPECT_THROW(plan_command("plan schedule --stages 2"), Error);
  EXPECT_THROW(plan_command("plan"), Error);
}

}  // namespace
}  // namespace weft
