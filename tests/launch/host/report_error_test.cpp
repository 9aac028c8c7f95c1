#include "launch/host/report_error.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <new>
#include <stdexcept>
#include <string>

namespace weft {
namespace {

std::map<std::string, std::string>& environment() {
  static std::map<std::string, std::string> variables;
  return variables;
}

const char* get(const char* name) {
  const auto found = environment().find(name);
  return found == environment().end() ? nullptr : found->second.c_str();
}

std::string line_in(std::map<std::string, std::string> variables) {
  environment() = std::move(variables);
  return error_line(ErrorKind::config, "lr is -1", announced_rank(get));
}

TEST(ReportError, NamesTheRankUnderEachLauncher) {
  EXPECT_EQ(line_in({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "4"}}),
            "[rank 1/4] weft: config error: lr is -1\n");
  EXPECT_EQ(line_in({{"RANK", "0"}, {"WORLD_SIZE", "2"}}),
            "[rank 0/2] weft: config error: lr is -1\n");
  EXPECT_EQ(line_in({{"SLURM_PROCID", "3"}, {"SLURM_NTASKS", "8"}}),
            "[rank 3/8] weft: config error: lr is -1\n");
}

TEST(ReportError, NamesTheHostOfAnotherRank) {
  EXPECT_EQ(error_line(ErrorKind::input, "no such file", RankInWorld{1, 2, "node7"}),
            "[rank 1/2 on node7] weft: input error: no such file\n");
}

TEST(ReportError, PrefersMpirunOverSlurmAroundIt) {
  EXPECT_EQ(line_in({{"OMPI_COMM_WORLD_RANK", "1"},
                     {"OMPI_COMM_WORLD_SIZE", "4"},
                     {"SLURM_PROCID", "0"},
                     {"SLURM_NTASKS", "2"}}),
            "[rank 1/4] weft: config error: lr is -1\n");
}

TEST(ReportError, SaysNoRankWhenAloneOrWhenTheNumbersMakeNoSense) {
  const std::string plain = "weft: config error: lr is -1\n";
  EXPECT_EQ(line_in({}), plain);
  EXPECT_EQ(line_in({{"RANK", "0"}, {"WORLD_SIZE", "1"}}), plain);
  EXPECT_EQ(line_in({{"RANK", "2"}, {"WORLD_SIZE", "2"}}), plain);
  EXPECT_EQ(line_in({{"RANK", "one"}, {"WORLD_SIZE", "2"}}), plain);
  EXPECT_EQ(line_in({{"RANK", "1"}}), plain);
}

TEST(ReportError, ReturnsTheExitCodeOfTheKind) {
  EXPECT_EQ(report_error(ErrorKind::usage, "shown by this test"), 2);
  EXPECT_EQ(report_error(ErrorKind::environment, "shown by this test"), 3);
  EXPECT_EQ(report_error(ErrorKind::internal, "shown by this test"), 70);
}

TEST(AsError, TellsWhoseFaultItIs) {
  const auto kind_of = [](std::errc code) {
    const std::filesystem::filesystem_error error("status", "here", std::make_error_code(code));
    return as_error(error).kind();
  };
  EXPECT_EQ(kind_of(std::errc::too_many_symbolic_link_levels), ErrorKind::input);
  EXPECT_EQ(kind_of(std::errc::filename_too_long), ErrorKind::input);
  EXPECT_EQ(kind_of(std::errc::not_a_directory), ErrorKind::input);
  EXPECT_EQ(kind_of(std::errc::permission_denied), ErrorKind::environment);
  EXPECT_EQ(kind_of(std::errc::no_such_file_or_directory), ErrorKind::input);
  EXPECT_EQ(kind_of(std::errc::read_only_file_system), ErrorKind::io);
  EXPECT_EQ(kind_of(std::errc::io_error), ErrorKind::io);
  EXPECT_EQ(kind_of(std::errc::no_space_on_device), ErrorKind::io);
  EXPECT_EQ(as_error(std::bad_alloc()).kind(), ErrorKind::environment);
  EXPECT_EQ(as_error(std::logic_error("x")).kind(), ErrorKind::internal);
  EXPECT_EQ(as_error(Error(ErrorKind::peer, "x")).kind(), ErrorKind::peer);
  const std::filesystem::filesystem_error error("status", "here",
                                                std::make_error_code(std::errc::permission_denied));
  EXPECT_STREQ(as_error(error).what(), "here: Permission denied");
}

}  // namespace
}  // namespace weft
